//! Limits and clocks.

use std::time::{Duration, Instant, SystemTime};

use futures::future::join_all;
use plumb::{
    http::{Budgets, Call, Class, Client, ClientSpec, HttpError, Processed},
    manifest::ConnectionLimits,
};

use super::{Server, api, client, create, epoch, key, keyed, reply, spec, things};

#[tokio::test]
async fn retry_after_is_obeyed_by_every_call_of_the_credential() {
    let server = Server::start(|_, before| match before {
        0 => reply(429, &[("retry-after", "3")], ""),
        _ => reply(200, &[], "{}"),
    })
    .await;
    let client = client(&server.url());
    let (call, other) = (create(), Call::get("/others"));
    let (first, second) = tokio::join!(client.send(&call), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        client.send(&other).await
    });
    assert_eq!((first.unwrap().attempts, second.unwrap().attempts), (2, 1), "a create is repeated after 429");
    assert!(server.gap(0) >= Duration::from_millis(300), "{:?}", server.gap(0));
    assert_eq!(client.sent(), 3);
}

#[tokio::test]
async fn retry_after_may_be_a_date_and_reset_may_have_any_style() {
    type Headers = fn(SystemTime) -> Vec<(&'static str, String)>;
    let cases: [Headers; 5] = [
        |at| vec![("retry-after", httpdate::fmt_http_date(at))],
        |at| vec![("x-ratelimit-reset", epoch(at).as_secs().to_string())],
        |at| vec![("x-ratelimit-reset", epoch(at).as_millis().to_string())],
        |at| vec![("x-ratelimit-reset", httpdate::fmt_http_date(at))],
        |_| vec![("x-ratelimit-reset", "3".to_owned()), ("x-ratelimit-remaining", "0".to_owned())],
    ];
    let servers = join_all(cases.map(|headers| async move {
        let server = Server::start(move |_, before| {
            if before > 0 {
                return reply(200, &[], "{}");
            }
            let headers = headers(SystemTime::now() + Duration::from_secs(3));
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            reply(429, &headers, "")
        })
        .await;
        client(&server.url()).send(&things()).await.unwrap();
        server.gap(0)
    }))
    .await;
    // A tenth of three seconds; dates are cut to whole seconds.
    for (number, gap) in servers.into_iter().enumerate() {
        assert!((Duration::from_millis(200)..Duration::from_millis(800)).contains(&gap), "{number}: {gap:?}");
    }
}

#[tokio::test]
async fn calls_stop_before_the_announced_limit_is_overrun() {
    let start = Instant::now();
    let server = Server::start(move |_, before| {
        let window_is_over = start.elapsed() > Duration::from_millis(290);
        let remaining = 4_usize.saturating_sub(before).to_string();
        match before {
            0..=4 => reply(
                200,
                &[("x-ratelimit-limit", "5"), ("x-ratelimit-remaining", &remaining), ("x-ratelimit-reset", "3")],
                "{}",
            ),
            _ if window_is_over => reply(200, &[], "{}"),
            _ => reply(429, &[], ""),
        }
    })
    .await;
    let client = client(&server.url());
    client.send(&things()).await.unwrap();
    let quota = client.quota();
    assert_eq!((quota.limit, quota.remaining), (Some(5), Some(4)));
    let call = things();
    let answers = join_all((0..8).map(|_| client.send(&call))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.attempts == 1)), "no 429 was met");
    assert!(server.gap(4) >= Duration::from_millis(200), "{:?}", server.gap(4));
}

#[tokio::test]
async fn no_window_sees_more_calls_than_the_budget_leaves() {
    let server = Server::start(|_, _| reply(200, &[], "{}")).await;
    let limits = ConnectionLimits { requests: Some(10), window: Some(2), ..ConnectionLimits::default() };
    let budgets = Budgets::default();
    let spec = ClientSpec { limits, budgets, ..spec(api(keyed()), &server.url(), key()) };
    let (one, other) = (Client::new(&spec).unwrap(), Client::new(&spec).unwrap());
    assert!((one.seconds_for(17) - 4.2).abs() < 1e-9, "{}", one.seconds_for(17));
    let calls: Vec<Call> = (0..20).map(|_| things()).collect();
    join_all(calls.iter().enumerate().map(|(n, call)| if n % 2 == 0 { one.send(call) } else { other.send(call) }))
        .await;
    let mut times: Vec<Instant> = server.seen().iter().map(|seen| seen.at).collect();
    times.sort();
    assert_eq!(times.len(), 20);
    // Eight of ten (a share is left for people) in 200 ms, less what the way to the server may vary.
    for pair in times.windows(9) {
        assert!(pair[8] - pair[0] > Duration::from_millis(150), "{:?}", pair[8] - pair[0]);
    }
}

#[tokio::test]
async fn a_limit_that_is_used_up_for_long_is_an_error_at_once() {
    let server = Server::start(|_, _| reply(429, &[("retry-after", "36000")], "")).await;
    let client = client(&server.url());
    let start = Instant::now();
    for _ in 0..2 {
        let error = client.send(&things()).await.unwrap_err();
        assert!(matches!(error, HttpError::RateLimited { wait: Some(_), .. }), "{error}");
        assert_eq!((error.class(), error.processed()), (Class::Transient, Processed::No));
    }
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(server.seen().len(), 1, "the second call is not sent");
}

#[tokio::test]
async fn a_server_behind_the_times_is_noticed() {
    let server = Server::start(|_, _| reply(200, &[("date", "Fri, 15 Jan 2021 08:00:00 GMT")], "{}")).await;
    let client = client(&server.url());
    client.send(&things()).await.unwrap();
    assert!(client.server_date().unwrap().skew_seconds() < -3600.0);
}
