//! When a stack may apply: windows of the week, each in its time zone.

use std::fmt;

use jiff::{Timestamp, ToSpan, civil::Weekday, tz::TimeZone};

/// One window.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// On which days it opens; on all where there is none.
    pub days: Vec<Weekday>,
    /// When it opens, in minutes after midnight.
    pub from: u16,
    /// When it closes; the next day where that is not later.
    pub to: u16,
    /// Its time zone.
    pub zone: TimeZone,
}

/// Reads `22:30`.
pub(super) fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    Some(hours.parse::<u16>().ok()?.checked_mul(60)? + minutes.parse::<u16>().ok()?)
}

/// Reads `Mon`.
pub(super) fn day(text: &str) -> Option<Weekday> {
    Some(match text {
        "Mon" => Weekday::Monday,
        "Tue" => Weekday::Tuesday,
        "Wed" => Weekday::Wednesday,
        "Thu" => Weekday::Thursday,
        "Fri" => Weekday::Friday,
        "Sat" => Weekday::Saturday,
        "Sun" => Weekday::Sunday,
        _ => return None,
    })
}

impl Window {
    /// Whether it is open.
    pub fn is_open(&self, now: Timestamp) -> bool {
        let now = now.to_zoned(self.zone.clone());
        let minute = u16::try_from(i32::from(now.hour()) * 60 + i32::from(now.minute())).unwrap_or(0);
        let opens = |day: Weekday| self.days.is_empty() || self.days.contains(&day);
        let (today, yesterday) = (now.weekday(), now.weekday().previous());
        if self.from < self.to {
            opens(today) && (self.from..self.to).contains(&minute)
        } else {
            (opens(today) && minute >= self.from) || (opens(yesterday) && minute < self.to)
        }
    }

    /// When it opens next, within the coming eight days; to the minute.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let start = now.to_zoned(self.zone.clone());
        (0..=8_i32).find_map(|ahead| {
            let day = start.date().checked_add(ahead.days()).ok()?;
            if !self.days.is_empty() && !self.days.contains(&day.weekday()) {
                return None;
            }
            let (hour, minute) = (i8::try_from(self.from / 60).ok()?, i8::try_from(self.from % 60).ok()?);
            let at = day.at(hour, minute, 0, 0).to_zoned(self.zone.clone()).ok()?.timestamp();
            (at > now).then_some(at)
        })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days: Vec<&str> = self.days.iter().map(|day| short(*day)).collect();
        let days = if days.is_empty() { "daily".to_owned() } else { days.join(", ") };
        let clock = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let zone = self.zone.iana_name().unwrap_or("UTC");
        write!(f, "{days} {}–{} {zone}", clock(self.from), clock(self.to))
    }
}

fn short(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "Mon",
        Weekday::Tuesday => "Tue",
        Weekday::Wednesday => "Wed",
        Weekday::Thursday => "Thu",
        Weekday::Friday => "Fri",
        Weekday::Saturday => "Sat",
        Weekday::Sunday => "Sun",
    }
}

/// Whether anything may be applied, and when it may next.
pub fn gate(windows: &[Window], now: Timestamp) -> Result<(), Option<Timestamp>> {
    if windows.is_empty() || windows.iter().any(|window| window.is_open(now)) {
        return Ok(());
    }
    Err(windows.iter().filter_map(|window| window.next(now)).min())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_on_which_it_opens() {
        let window = Window { days: vec![Weekday::Friday], from: 22 * 60, to: 6 * 60, zone: TimeZone::UTC };
        // 2026-03-06 is a Friday.
        for (when, open) in [
            ("2026-03-06T21:59:00Z", false),
            ("2026-03-06T22:00:00Z", true),
            ("2026-03-07T05:59:00Z", true),
            ("2026-03-07T06:00:00Z", false),
            ("2026-03-06T05:00:00Z", false),
            ("2026-03-07T23:00:00Z", false),
        ] {
            assert_eq!(window.is_open(at(when)), open, "{when}");
        }
        assert_eq!(
            gate(std::slice::from_ref(&window), at("2026-03-04T12:00:00Z")),
            Err(Some(at("2026-03-06T22:00:00Z")))
        );
        assert_eq!(gate(&[window], at("2026-03-06T23:00:00Z")), Ok(()));
        assert_eq!(gate(&[], at("2026-03-06T23:00:00Z")), Ok(()));
    }

    #[test]
    fn windows_go_by_the_clocks_of_their_zone() {
        let Ok(zone) = TimeZone::get("Europe/Berlin") else { return };
        let window = Window { days: Vec::new(), from: 60, to: 120, zone };
        assert!(window.is_open(at("2026-01-10T00:30:00Z")));
        assert!(window.is_open(at("2026-07-10T23:30:00Z")));
        assert!(!window.is_open(at("2026-07-10T00:30:00Z")));
        assert_eq!(window.to_string(), "daily 01:00–02:00 Europe/Berlin");
    }
}
