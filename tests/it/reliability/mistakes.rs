//! Mistakes that people and machines make, one after another: nothing goes that a careful person would have kept.

use std::{fs, path::Path};

use plumb::sandbox::{Sandbox, SandboxOptions};
use serde_json::json;

use super::{Ran, Scene, worlds::WORLDS};

/// What a mistake is made with: a stack that was applied, and flags of the next apply.
struct Slip {
    scene: Scene,
    /// Another account, where there is one.
    other: Option<Sandbox>,
    flags: Vec<String>,
    stdin: Option<String>,
    /// Where the program is run on, in place of the stack's folder.
    inputs: Option<Vec<String>>,
}

/// A mistake, and what is to come of it.
struct Mistake {
    name: &'static str,
    make: fn(&mut Slip),
    /// Exit code of `apply --yes --prune`.
    code: i32,
    /// What it says, among other things.
    says: &'static [&'static str],
    /// Objects that a careful person would have deleted.
    goes: usize,
}

const HOOKS: usize = 14;
const RESOURCES: usize = 12;

fn hook(n: usize) -> String {
    let head = "apiVersion: rest.plumb.dev/v1alpha1\nkind: Webhook\n";
    format!(
        "{head}metadata: {{name: hook-{n}, labels: {{part: hooks}}}}\nspec: {{url: \"https://hooks.example/{n}\", events: [a]}}\n---\n"
    )
}

fn resource(n: usize) -> String {
    let head = "apiVersion: rest.plumb.dev/v1alpha1\nkind: Resource\n";
    format!(
        "{head}metadata: {{name: resource-{n}, labels: {{part: resources}}}}\nspec: {{name: Resource {n}, description: some}}\n---\n"
    )
}

fn organization(n: usize, annotations: &str) -> String {
    let head = "apiVersion: rest.plumb.dev/v1alpha1\nkind: Organization\n";
    format!(
        "{head}metadata: {{name: org-{n}, annotations: {{{annotations}}}}}\nspec: {{name: Organization {n}, slug: org-{n}, \
         members: [{{user: jane@example.com, role: owner}}, {{user: ops@example.com, role: member}}]}}\n---\n"
    )
}

fn joined(count: usize, one: fn(usize) -> String) -> String {
    (0..count).map(one).collect()
}

impl Slip {
    fn path(&self, file: &str) -> std::path::PathBuf {
        self.scene.folder.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(file)).unwrap();
        assert!(text.contains(from), "`{file}` has no `{from}`");
        self.write(file, &text.replace(from, to));
    }

    fn remove(&self, file: &str) {
        let path = self.path(file);
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }

    fn flag(&mut self, flag: &str) {
        self.flags.push(flag.to_owned());
    }

    fn fault(&self, order: &str) {
        self.scene.sandbox.set_faults(order.parse().unwrap());
    }

    fn apply(&self, flags: &[&str]) -> Ran {
        let mut args = vec!["apply", "--yes"];
        args.extend(flags);
        self.scene.run(&args)
    }

    /// Every object of the account, and of the other one.
    fn live(&self) -> usize {
        let count = |sandbox: &Sandbox| {
            ["Organization", "OrganizationMember", "Resource", "Webhook"]
                .iter()
                .map(|kind| sandbox.objects("rest", kind).len())
                .sum::<usize>()
        };
        count(&self.scene.sandbox) + self.other.as_ref().map_or(0, count)
    }

    /// The deletions that reached a server.
    fn deletions(&self) -> usize {
        let count = |sandbox: &Sandbox| {
            sandbox.log().iter().filter(|entry| entry.method == "DELETE" && (200..300).contains(&entry.status)).count()
        };
        count(&self.scene.sandbox) + self.other.as_ref().map_or(0, count)
    }

    /// Runs `apply --yes --prune` after the mistake.
    fn go(&self) -> Ran {
        let sandbox = self.other.as_ref().unwrap_or(&self.scene.sandbox);
        let mut command = crate::support::example::plumb();
        command.args(["apply", "--yes", "--prune"]).args(&self.flags);
        let inputs = self.inputs.clone().unwrap_or_else(|| vec![self.scene.folder.path().display().to_string()]);
        for input in &inputs {
            command.args(["-f", input]);
        }
        if !self.flags.iter().any(|flag| flag.starts_with("--connection")) {
            command.arg(format!("--connection=main={}", sandbox.url("rest")));
        }
        command.env("XDG_RUNTIME_DIR", self.path(".runtime"));
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        let _ = std::io::Write::write_all(&mut pipe, self.stdin.clone().unwrap_or_default().as_bytes());
        drop(pipe);
        Ran::of(child)
    }

    /// Another account with nothing in it but what is there from the start, and `objects` of the same names.
    fn elsewhere(&mut self, objects: usize) {
        let catalog = plumb::apis::builtin().clone();
        let sandbox = futures::executor::block_on(Sandbox::start(&catalog, SandboxOptions::default())).unwrap();
        for n in 0..objects {
            sandbox
                .add("rest", "Webhook", &json!({"url": format!("https://hooks.example/{n}"), "events": ["a"]}))
                .unwrap();
        }
        self.other = Some(sandbox);
    }
}

fn inventory_of(path: &Path) -> String {
    format!("--inventory={}", path.join(".plumb/inventory.db").display())
}

const LIMIT: &[&str] = &["14 objects, and the limit is 10", "--max-deletes 14"];

#[expect(clippy::too_many_lines, reason = "one table")]
fn mistakes() -> Vec<Mistake> {
    let m = |name, make, code, says, goes| Mistake { name, make, code, says, goes };
    vec![
        m(
            "a folder was renamed, out of what is read",
            |s| {
                fs::rename(s.path("hooks"), s.path(".hooks-old")).unwrap();
            },
            3,
            LIMIT,
            0,
        ),
        m("a folder was deleted", |s| s.remove("hooks"), 3, LIMIT, 0),
        m(
            "the stack's own folder was renamed",
            |s| {
                let moved = s.path("moved");
                fs::create_dir_all(&moved).unwrap();
                for file in ["connection.yaml", "key", "secret", "resources.yaml"] {
                    fs::copy(s.path(file), moved.join(file)).unwrap();
                }
                s.inputs = Some(vec![moved.display().to_string()]);
                let flag = inventory_of(s.scene.folder.path());
                s.flag(&flag);
            },
            3,
            &["which this run does not read", "--adopt-roots"],
            0,
        ),
        m(
            "the wrong branch is checked out: one of before the hooks",
            |s| {
                s.remove("hooks");
                s.remove("organizations.yaml");
                s.edit("resources.yaml", "description: some", "description: older");
            },
            3,
            LIMIT,
            0,
        ),
        m(
            "the repository is empty but for the connection",
            |s| {
                for file in ["hooks", "resources.yaml", "organizations.yaml"] {
                    s.remove(file);
                }
            },
            3,
            &["an empty source never prunes"],
            0,
        ),
        m(
            "the repository is empty",
            |s| {
                for file in ["hooks", "resources.yaml", "organizations.yaml", "connection.yaml"] {
                    s.remove(file);
                }
                s.flag("--connection=main=http://127.0.0.1:1");
            },
            3,
            &["no connection `main`", "an empty source never prunes"],
            0,
        ),
        m(
            "there is no such folder",
            |s| s.inputs = Some(vec![s.path("nowhere").display().to_string()]),
            3,
            &["nowhere"],
            0,
        ),
        m(
            "a file has a syntax error in the middle",
            |s| {
                s.edit("hooks/hooks.yaml", "metadata: {name: hook-7,", "metadata: {name: hook-7");
            },
            1,
            &["PL0007"],
            0,
        ),
        m(
            "a file is cut off in the middle of a document",
            |s| {
                let text = fs::read_to_string(s.path("hooks/hooks.yaml")).unwrap();
                s.write("hooks/hooks.yaml", &text[..text.len() / 2 - 20]);
            },
            1,
            &["error"],
            0,
        ),
        m(
            "a file is cut off between two documents",
            |s| s.write("hooks/hooks.yaml", &joined(2, hook)),
            3,
            &["12 objects, and the limit is 10", "--max-deletes 12"],
            0,
        ),
        m("a file was emptied", |s| s.write("hooks/hooks.yaml", ""), 3, LIMIT, 0),
        m(
            "a link leads to nothing",
            |s| {
                s.remove("hooks/hooks.yaml");
                std::os::unix::fs::symlink("nowhere.yaml", s.path("hooks/hooks.yaml")).unwrap();
            },
            1,
            &["PL0001"],
            0,
        ),
        m(
            "a file has another ending",
            |s| {
                fs::rename(s.path("hooks/hooks.yaml"), s.path("hooks/hooks.yaml.orig")).unwrap();
            },
            3,
            LIMIT,
            0,
        ),
        m(
            "an apiVersion is misspelt everywhere",
            |s| s.edit("hooks/hooks.yaml", "rest.plumb.dev/v1alpha1", "rest.plumb.dev/v1alpha"),
            1,
            &["PL0101"],
            0,
        ),
        m(
            "a kind is misspelt everywhere",
            |s| s.edit("hooks/hooks.yaml", "kind: Webhook", "kind: WebHook"),
            1,
            &["PL0102"],
            0,
        ),
        m(
            "a file was copied, so that all in it is there twice",
            |s| {
                fs::copy(s.path("hooks/hooks.yaml"), s.path("hooks/copy.yaml")).unwrap();
            },
            1,
            &["PL0110"],
            0,
        ),
        m(
            "the connection leads to another account, which is empty",
            |s| {
                s.elsewhere(0);
                s.remove("hooks");
                s.flag("--max-deletes=100%");
            },
            3,
            &["leads to", "--adopt-accounts"],
            0,
        ),
        m(
            "the connection leads to another account, which has objects of the same names",
            |s| s.elsewhere(14),
            3,
            &["leads to", "--adopt-accounts"],
            0,
        ),
        m(
            "another account is behind the same URL: none of the objects is there",
            |s| {
                for kind in ["Webhook", "Resource", "Organization"] {
                    for row in s.scene.sandbox.objects("rest", kind) {
                        let key = row.get("key").unwrap_or(&row["id"]).as_str().unwrap();
                        s.scene.sandbox.remove("rest", kind, key);
                    }
                }
                for n in 0..HOOKS {
                    let row = json!({"url": format!("https://hooks.example/{n}"), "events": ["a"]});
                    s.scene.sandbox.add("rest", "Webhook", &row).unwrap();
                }
                s.edit("hooks/hooks.yaml", "events: [a]", "events: [b]");
                s.flag("--max-deletes=100%");
            },
            3,
            &["this looks like another account", "--adopt-accounts"],
            0,
        ),
        m(
            "the connection was renamed",
            |s| {
                s.edit("connection.yaml", "name: main", "name: prod");
                let flag = format!("--connection=prod={}", s.scene.sandbox.url("rest"));
                s.flag(&flag);
                s.remove("hooks");
            },
            1,
            &["PL0506"],
            0,
        ),
        m(
            "a second connection is the one that is meant",
            |s| {
                let text = fs::read_to_string(s.path("connection.yaml")).unwrap();
                s.write("connection.yaml", &format!("{text}---\n{}", text.replace("name: main", "name: other")));
            },
            1,
            &["connection"],
            0,
        ),
        m(
            "`--target` names something else",
            |s| {
                s.remove("hooks");
                s.flag("--target=rest/Resource/resource-1");
            },
            0,
            &["Nothing is pruned in a run that looks at a part"],
            0,
        ),
        m(
            "`--target` names nothing",
            |s| {
                s.remove("hooks");
                s.flag("--target=rest/Resource/resource-100");
            },
            1,
            &["resource-100"],
            0,
        ),
        m(
            "`-l` has a slip of the pen",
            |s| {
                s.remove("hooks");
                s.flag("-lpart=resource");
            },
            0,
            &["PL0606"],
            0,
        ),
        m(
            "`--exclude` names what is gone",
            |s| {
                s.remove("hooks");
                s.flag("--exclude=rest/Resource/resource-1");
            },
            0,
            &["PL0606"],
            0,
        ),
        m(
            "half of a collection cannot be read",
            |s| {
                s.edit("hooks/hooks.yaml", &hook(3), "");
                s.fault("500@GET:/v1/webhooks=100%");
            },
            1,
            &["status 500"],
            0,
        ),
        m(
            "the credential may not list",
            |s| {
                s.edit("hooks/hooks.yaml", &hook(3), "");
                s.fault("403@GET:/v1/webhooks=100%");
            },
            1,
            &["403"],
            0,
        ),
        m(
            "pages break off",
            |s| {
                s.edit("hooks/hooks.yaml", &hook(3), "");
                s.fault("truncate@GET:/v1/webhooks=100%");
            },
            1,
            &["broke off"],
            0,
        ),
        m(
            "the list of the entries inside cannot be read",
            |s| {
                s.edit("organizations.yaml", ", {user: ops@example.com, role: member}", "");
                s.fault("500@GET:/v1/organizations/=100%");
            },
            1,
            &["status 500"],
            0,
        ),
        m(
            "names were changed without `moved-from`",
            |s| s.edit("hooks/hooks.yaml", "name: hook-", "name: webhook-"),
            1,
            &["plumb.dev/moved-from: hook-0"],
            0,
        ),
        m(
            "`moved-from` names the wrong object",
            |s| {
                s.edit(
                    "hooks/hooks.yaml",
                    "name: hook-3,",
                    "name: new-3, annotations: {plumb.dev/moved-from: hook-9},",
                );
            },
            1,
            &["hook-9"],
            0,
        ),
        m(
            "a share of a kind that is more than a slip",
            |s| {
                for n in 0..5 {
                    s.edit("hooks/hooks.yaml", &hook(n), "");
                }
            },
            3,
            &["5 of 15 rest/Webhook, and the limit is 30 %", "--max-deletes 5"],
            0,
        ),
        m(
            "more than the limit that was given",
            |s| {
                for n in 0..4 {
                    s.edit("hooks/hooks.yaml", &hook(n), "");
                }
                s.flag("--max-deletes=3");
            },
            3,
            &["4 objects, and the limit is 3", "--max-deletes 4"],
            0,
        ),
        m(
            "more than the share that was given",
            |s| {
                for n in 0..4 {
                    s.edit("hooks/hooks.yaml", &hook(n), "");
                }
                s.flag("--max-deletes=20%");
            },
            3,
            &["4 of 15 rest/Webhook, and the limit is 20 %"],
            0,
        ),
        m(
            "two stacks have the same name and one inventory",
            |s| {
                let other = s.path(".other");
                fs::create_dir_all(&other).unwrap();
                for file in ["connection.yaml", "key", "secret"] {
                    fs::copy(s.path(file), other.join(file)).unwrap();
                }
                fs::write(other.join("one.yaml"), hook(77)).unwrap();
                s.inputs = Some(vec![other.display().to_string()]);
                let flag = inventory_of(s.scene.folder.path());
                s.flag(&flag);
            },
            3,
            &["--adopt-roots"],
            0,
        ),
        m(
            "the Stack manifest is gone, so that the name is another",
            |s| {
                s.write(
                    "stack.yaml",
                    "apiVersion: plumb.dev/v1alpha1\nkind: Stack\nmetadata: {name: renamed}\nspec: {}\n",
                );
            },
            1,
            &["owned by `rest/Webhook/hook-0` of stack `default`"],
            0,
        ),
        m(
            "the inventory was lost, and so was a folder",
            |s| {
                s.remove(".plumb");
                s.remove("hooks");
            },
            0,
            &[],
            0,
        ),
        m(
            "a protected object was taken out",
            |s| s.edit("organizations.yaml", &organization(2, PROTECTED), ""),
            3,
            &["PL0601", "protect"],
            0,
        ),
        m(
            "an object with the policy `retain` was taken out",
            |s| s.edit("organizations.yaml", &organization(1, RETAINED), ""),
            0,
            &["stays"],
            0,
        ),
        m(
            "an object that contains others was taken out",
            |s| s.edit("organizations.yaml", &organization(0, ""), ""),
            0,
            &["forget"],
            0,
        ),
        m("an adopted object was taken out", |s| s.edit("hooks/adopted.yaml", &hook(90), ""), 0, &["forget"], 0),
        m(
            "the entries of a list are gone, the last owner among them",
            |s| {
                s.edit(
                    "organizations.yaml",
                    "members: [{user: jane@example.com, role: owner}, {user: ops@example.com, role: member}]",
                    "members: []",
                );
            },
            3,
            &["PL0611"],
            0,
        ),
        m(
            "a parent was deleted by hand",
            |s| {
                let row = &s.scene.sandbox.objects("rest", "Organization")[0];
                s.scene.sandbox.remove("rest", "Organization", row["id"].as_str().unwrap());
            },
            0,
            &[],
            0,
        ),
        m(
            "a template printed nothing",
            |s| {
                s.inputs = Some(vec!["-".into()]);
                let flag = inventory_of(s.scene.folder.path());
                s.flag(&flag);
                s.flag("--connection=main=http://127.0.0.1:1");
            },
            3,
            &["no connection", "an empty source never prunes"],
            0,
        ),
        m(
            "a template broke off",
            |s| {
                s.inputs = Some(vec![s.path("connection.yaml").display().to_string(), "-".into()]);
                s.stdin = Some(joined(3, hook));
                let flag = inventory_of(s.scene.folder.path());
                s.flag(&flag);
            },
            3,
            &["--adopt-roots"],
            0,
        ),
        m(
            "the API of a kind is not described any more",
            |s| {
                s.edit("connection.yaml", "api: rest", "api: rust");
            },
            1,
            &["rust"],
            0,
        ),
        m("one object was taken out on purpose", |s| s.edit("hooks/hooks.yaml", &hook(3), ""), 0, &["1 to delete"], 1),
    ]
}

const PROTECTED: &str = "plumb.dev/protect: \"true\", plumb.dev/deletion-policy: delete";
const RETAINED: &str = "plumb.dev/deletion-policy: retain";

async fn ready() -> Slip {
    let world = WORLDS.iter().find(|world| world.api == "rest").unwrap();
    let scene = Scene::start(world, SandboxOptions::default()).await;
    let slip = Slip { scene, other: None, flags: Vec::new(), stdin: None, inputs: None };
    slip.scene.sandbox.add("rest", "Webhook", &json!({"url": "https://hooks.example/90", "events": ["a"]})).unwrap();
    slip.write("hooks/hooks.yaml", &joined(HOOKS, hook));
    slip.write("hooks/adopted.yaml", &hook(90));
    slip.write("resources.yaml", &joined(RESOURCES, resource));
    let organizations = [organization(0, ""), organization(1, RETAINED), organization(2, PROTECTED)];
    slip.write("organizations.yaml", &organizations.concat());
    let ran = slip.apply(&[]);
    assert_eq!(ran.code, Some(0), "{}", ran.told());
    slip.scene.sandbox.clear_log();
    slip
}

#[tokio::test(flavor = "multi_thread")]
async fn no_mistake_deletes_what_a_careful_person_would_have_kept() {
    let table = mistakes();
    assert!(table.len() >= 30);
    let mut wrong = Vec::new();
    for mistake in &table {
        let mut slip = ready().await;
        (mistake.make)(&mut slip);
        let before = slip.live();
        let ran = slip.go();
        let all = format!("{}\n{}", ran.out, ran.err).replace("\n    ", " ");
        let mut complaints = Vec::new();
        if slip.deletions() != mistake.goes {
            complaints.push(format!("{} deletions instead of {}", slip.deletions(), mistake.goes));
        }
        if slip.live() + mistake.goes < before {
            complaints.push(format!("{before} objects became {}", slip.live()));
        }
        if ran.code != Some(mistake.code) {
            complaints.push(format!("exit code {:?} instead of {}", ran.code, mistake.code));
        }
        complaints.extend(
            mistake.says.iter().filter(|word| !all.contains(**word)).map(|word| format!("it does not say `{word}`")),
        );
        if !complaints.is_empty() {
            wrong.push(format!("== {}: {}\n{}", mistake.name, complaints.join("; "), ran.told()));
        }
    }
    println!("{} mistakes, {} of them not as they should be", table.len(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_looked_at_is_not_forgotten() {
    let owned = |slip: &Slip| {
        let ran = slip.scene.run(&["inventory", "list"]);
        assert_eq!(ran.code, Some(0), "{}", ran.told());
        ran.out
    };
    for fault in
        ["500@GET:/v1/organizations=100%", "401@GET:/v1/organizations=100%", "reset@GET:/v1/organizations=100%"]
    {
        let slip = ready().await;
        let before = owned(&slip);
        assert!(before.contains("#members/"), "{before}");
        slip.remove("organizations.yaml");
        slip.fault(fault);
        let ran = slip.apply(&["--prune"]);
        assert_eq!(ran.code, Some(1), "{fault}: {}", ran.told());
        assert_eq!(owned(&slip), before, "{fault}: {}", ran.told());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_folder_of_the_same_name_prunes_nothing() {
    let slip = ready().await;
    for folder in ["a/m", "b/m"] {
        for file in ["connection.yaml", "key", "secret"] {
            slip.write(&format!("{folder}/{file}"), &fs::read_to_string(slip.path(file)).unwrap());
        }
    }
    slip.write("a/m/all.yaml", &joined(3, |n| hook(n + 100)));
    slip.write("b/m/all.yaml", &hook(200));
    let run = |folder: &str, flags: &[&str]| {
        let mut command = crate::support::example::plumb();
        command.args(["apply", "--yes", "--prune", "-f", "m", "--inventory", "../inventory.db"]).args(flags);
        command.arg(format!("--connection=main={}", slip.scene.sandbox.url("rest")));
        command.current_dir(slip.path(folder)).env("XDG_RUNTIME_DIR", slip.path(".runtime"));
        command.output().unwrap()
    };
    let hooks = || slip.scene.sandbox.objects("rest", "Webhook").len();
    assert_eq!(run("a", &[]).status.code(), Some(0));
    let before = hooks();
    let ran = run("b", &[]);
    let said = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(3), "{said}");
    assert!(said.replace("\n    ", " ").contains("another stack's"), "{said}");
    assert_eq!(hooks(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_owned_in_one_account_is_not_made_in_another() {
    let mut slip = ready().await;
    slip.elsewhere(0);
    let before = slip.live();
    let ran = slip.go();
    assert_eq!(ran.code, Some(3), "{}", ran.told());
    assert!(ran.told().replace("\n    ", " ").contains("make again"), "{}", ran.told());
    assert_eq!(slip.live(), before);
}
