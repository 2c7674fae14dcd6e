//! What a release has, made by the scripts of the release workflow: archive, image, chart, definitions, bill of materials.
//! The image's root file system is unpacked and started.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::example::{repository, tool};

fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_release_has_everything_and_its_image_starts() {
    let Some(helm) = tool("helm") else { return };
    let folder = TempDir::new().unwrap();
    let dist = folder.path().join("dist");
    let version = env!("CARGO_PKG_VERSION");
    run(Command::new(repository("deploy/release.sh"))
        .args([env!("CARGO_BIN_EXE_plumb"), version])
        .arg(&dist)
        .env("HELM", &helm)
        .env("SOURCE_DATE_EPOCH", "1700000000"));
    let found: BTreeSet<String> =
        fs::read_dir(&dist).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let platform = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
    let expected: BTreeSet<String> = [
        "SHA256SUMS".to_owned(),
        format!("plumb-{version}-{platform}.tar.gz"),
        format!("plumb-{version}-image.tar"),
        format!("plumb-{version}-image.digest"),
        format!("plumb-{version}.tgz"),
        format!("plumb-{version}-crds.yaml"),
        format!("plumb-{version}-sbom.cdx.json"),
    ]
    .into();
    assert_eq!(found, expected);
    run(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&dist));
    let bill: Value =
        serde_json::from_slice(&fs::read(dist.join(format!("plumb-{version}-sbom.cdx.json"))).unwrap()).unwrap();
    let parts: Vec<&str> =
        bill["components"].as_array().unwrap().iter().map(|part| part["name"].as_str().unwrap()).collect();
    assert!(parts.contains(&"tokio") && !parts.contains(&"insta"), "what is built and not what tests");
    let packed = run(Command::new(&helm).args(["show", "chart"]).arg(dist.join(format!("plumb-{version}.tgz"))));
    assert!(packed.contains(&format!("appVersion: {version}")), "{packed}");
    // The image: its layout holds together, its root has what the program needs, and it starts as a user without rights.
    let image = folder.path().join("image");
    let root = folder.path().join("root");
    fs::create_dir(&image).unwrap();
    fs::create_dir(&root).unwrap();
    run(Command::new("tar").arg("-xf").arg(dist.join(format!("plumb-{version}-image.tar"))).arg("-C").arg(&image));
    let index = json(&image.join("index.json"));
    let manifest = blob(&image, &index["manifests"][0]);
    let config = blob(&image, &manifest["config"]);
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/usr/bin/plumb"]));
    let layer = path(&image, &manifest["layers"][0]);
    run(Command::new("tar").arg("-xzf").arg(layer).arg("-C").arg(&root));
    assert!(!root.join("bin/sh").exists() && !root.join("usr/bin/sh").exists(), "an image without a shell");
    assert!(root.join("etc/ssl/certs/ca-certificates.crt").is_file());
    // Only root may change the root of a process.
    if run(Command::new("id").arg("-u")).trim() == "0" {
        let said =
            run(Command::new("chroot").arg("--userspec=65532:65532").arg(&root).args(["/usr/bin/plumb", "--version"]));
        assert_eq!(said.trim(), format!("plumb {version}"));
        let crds = run(Command::new("chroot").arg("--userspec=65532:65532").arg(&root).args([
            "/usr/bin/plumb",
            "crds",
            "rest",
        ]));
        assert!(crds.contains("resources.rest.plumb.dev"));
    }
    // Another version than Cargo.toml's is refused.
    let refused = Command::new(repository("deploy/release.sh"))
        .args([env!("CARGO_BIN_EXE_plumb"), "99.0.0"])
        .arg(&dist)
        .output()
        .unwrap();
    assert!(!refused.status.success());
}

#[test]
fn the_workflow_runs_scripts_that_are_there() {
    let workflow = fs::read_to_string(repository(".github/workflows/release.yml")).unwrap();
    for script in ["deploy/release.sh", "deploy/publish.sh", "tests/tools/helm.sh"] {
        assert!(workflow.contains(script) && repository(script).is_file(), "{script}");
    }
    let dockerfile = fs::read_to_string(repository("Dockerfile")).unwrap();
    assert!(dockerfile.contains("USER 65532:65532") && dockerfile.contains("deploy/root.sh"));
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn path(image: &Path, descriptor: &Value) -> std::path::PathBuf {
    let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap().to_owned();
    let path = image.join("blobs/sha256").join(&digest);
    assert_eq!(fs::metadata(&path).unwrap().len(), descriptor["size"].as_u64().unwrap());
    let sum = run(Command::new("sha256sum").arg(&path));
    assert!(sum.starts_with(&digest));
    path
}

fn blob(image: &Path, descriptor: &Value) -> Value {
    json(&path(image, descriptor))
}
