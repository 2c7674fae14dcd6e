//! The tutorial, done line by line in a real cluster.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::support::{
    example::{repository, tool},
    operator::Operated,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_tutorial_does_what_it_says() {
    let Some(mut operated) = Operated::prepare("page").await else { return };
    let kubectl = tool("kubectl").unwrap();
    let page = fs::read_to_string(repository("docs/tutorial-kubernetes.md")).unwrap();
    let url = operated.sandbox.url("rest");
    let folder = operated.folder.path().join("work");
    fs::create_dir(&folder).unwrap();
    let programs = [Path::new(env!("CARGO_BIN_EXE_plumb")).parent().unwrap(), kubectl.parent().unwrap()];
    let path = programs
        .iter()
        .map(|program| program.display().to_string())
        .chain(std::env::var("PATH"))
        .collect::<Vec<_>>()
        .join(":");
    let mut served = 0;
    for block in page.split("\n```").skip(1).step_by(2) {
        let (language, text) = block.split_once('\n').unwrap();
        let text = text.replace("http://127.0.0.1:8700/rest", &url);
        match language {
            "yaml" => {
                let name = text.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap();
                fs::write(folder.join(name), &text).unwrap();
            }
            "sh" if text.contains("plumb sandbox") => served += 1,
            "sh" if text.contains("plumb operator") => {
                served += 1;
                let mut command = Command::new("sh");
                command.arg("-c").arg(format!("exec {text}")).current_dir(&folder).env("PATH", &path);
                command.env("KUBECONFIG", operated.cluster.kubeconfig()).stdout(Stdio::null());
                command.stderr(fs::File::create(operated.folder.path().join("operator-0.log")).unwrap());
                operated.start_as(command);
            }
            "sh" => {
                let mut command = Command::new("bash");
                command.args(["-euo", "pipefail", "-c", &text]).current_dir(&folder).env("PATH", &path);
                command.env("KUBECONFIG", operated.cluster.kubeconfig()).env("HOME", operated.folder.path());
                let output = command.stdin(Stdio::null()).output().unwrap();
                assert!(
                    output.status.success(),
                    "{text}\n{}\n{}\n{}",
                    String::from_utf8_lossy(&output.stdout),
                    String::from_utf8_lossy(&output.stderr),
                    operated.log(0)
                );
            }
            _ => {}
        }
    }
    assert_eq!(served, 2);
    assert_eq!(
        operated.sandbox.objects("rest", "Resource").iter().filter(|row| row.to_string().contains("Website")).count(),
        0
    );
}
