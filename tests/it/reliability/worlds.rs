//! A stack of many objects of mixed kinds for each simulated API, in two forms: as it is made, and as it is changed.

use std::fmt::Write as _;

/// One API's stack.
pub(super) struct World {
    /// Name of the API, and of its sandbox.
    pub(super) api: &'static str,
    /// How its connection authenticates.
    auth: &'static str,
    /// What its connection says besides.
    more: &'static str,
    /// Writes the manifests of about so many objects; in the second form, some differ and some are gone.
    write: fn(usize, bool) -> String,
}

/// All of them.
pub(super) const WORLDS: [World; 5] = [
    World { api: "rest", auth: "{bearer: {valueFrom: {file: key}}}", more: "", write: rest },
    World { api: "itglue", auth: "{apiKey: {valueFrom: {file: key}}}", more: "", write: itglue },
    World {
        api: "cycloid",
        auth: "{bearer: {valueFrom: {file: key}}}",
        more: "  defaults: {organization: acme}\n",
        write: cycloid,
    },
    World { api: "bindplane", auth: "{apiKey: {valueFrom: {file: key}}}", more: "", write: bindplane },
    World { api: "balena", auth: "{bearer: {valueFrom: {file: key}}}", more: "", write: balena },
];

impl World {
    /// The connection `main`. A server is given a second to end what it is at after its client died, and takes any number
    /// of calls: runs that follow upon one another share what the API allows.
    pub(super) fn connection(&self) -> String {
        format!("{}  limits: {{requests: 1000000, window: 1}}\n", self.within_limits())
    }

    /// The same with what the API allows.
    pub(super) fn within_limits(&self) -> String {
        format!(
            "apiVersion: plumb.dev/v1alpha1\nkind: Connection\nmetadata: {{name: main}}\nspec:\n  api: {}\n  auth: {}\n  \
             timeouts: {{settle: 1}}\n{}",
            self.api, self.auth, self.more
        )
    }

    /// The manifests of about so many objects.
    pub(super) fn manifests(&self, objects: usize, changed: bool) -> String {
        (self.write)(objects, changed)
    }
}

/// One manifest.
fn add(out: &mut String, api: &str, kind: &str, name: &str, spec: &str) {
    let _ = write!(
        out,
        "apiVersion: {api}.plumb.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n---\n"
    );
}

/// The numbers of objects of which there are so many; in the changed form, every seventh is gone.
fn numbers(count: usize, changed: bool) -> impl Iterator<Item = usize> {
    (0..count.max(2)).filter(move |number| !changed || number % 7 != 3)
}

/// A text that differs between the forms for every third object.
fn text(number: usize, changed: bool) -> &'static str {
    if changed && number.is_multiple_of(3) { "changed" } else { "made" }
}

fn rest(objects: usize, changed: bool) -> String {
    let mut out = String::new();
    for n in 0..objects / 10 {
        let role = if changed && n % 3 == 0 { "owner" } else { "member" };
        let spec = format!(
            "{{name: \"Organization {n} {}\", slug: org-{n}, members: [{{user: jane@example.com, role: owner}}, {{user: \
             ops@example.com, role: {role}}}]}}",
            text(n, changed)
        );
        add(&mut out, "rest", "Organization", &format!("org-{n}"), &spec);
    }
    for n in numbers(objects * 4 / 10, changed) {
        let spec = format!("{{name: Resource {n}, description: {}, metadata: {{size: {n}}}}}", text(n, changed));
        add(&mut out, "rest", "Resource", &format!("resource-{n}"), &spec);
    }
    for n in numbers(objects * 3 / 10, changed) {
        let spec = format!("{{url: \"https://hooks.example/{n}\", events: [resource.{}]}}", text(n, changed));
        add(&mut out, "rest", "Webhook", &format!("hook-{n}"), &spec);
    }
    out
}

fn itglue(objects: usize, changed: bool) -> String {
    let mut out = String::new();
    let organizations = (objects / 20).max(2);
    for n in 0..organizations {
        let spec = format!("{{name: Customer {n}, description: {}}}", text(n, changed));
        add(&mut out, "itglue", "Organization", &format!("customer-{n}"), &spec);
    }
    add(&mut out, "itglue", "ConfigurationType", "server", "{name: Managed Server}");
    for n in 0..2 {
        let hint = text(n, changed);
        let spec = format!(
            "{{name: Type {n}, icon: envelope, fields: [{{name: Title, kind: Text, order: 1, required: true, useForTitle: \
             true, showInList: true}}, {{name: Note, kind: Text, order: 2, hint: {hint}}}]}}"
        );
        add(&mut out, "itglue", "FlexibleAssetType", &format!("type-{n}"), &spec);
    }
    for n in numbers(objects / 6, changed) {
        let spec = format!(
            "{{organization: customer-{}, flexibleAssetType: type-{}, traits: {{Title: Asset {n}, Note: {}}}}}",
            n % organizations,
            n % 2,
            text(n, changed)
        );
        add(&mut out, "itglue", "FlexibleAsset", &format!("asset-{n}"), &spec);
    }
    for n in numbers(objects / 5, changed) {
        let spec = format!(
            "{{organization: customer-{}, name: Host {n}, configurationType: server, notes: {}, interfaces: [{{name: eth0, \
             ipAddress: 10.0.{n}.1, primary: true}}]}}",
            n % organizations,
            text(n, changed)
        );
        add(&mut out, "itglue", "Configuration", &format!("host-{n}"), &spec);
    }
    for n in numbers(objects / 6, changed) {
        let spec = format!(
            "{{organization: customer-{}, name: Password {n}, username: {}, password: {{valueFrom: {{file: secret}}}}}}",
            n % organizations,
            text(n, changed)
        );
        add(&mut out, "itglue", "Password", &format!("password-{n}"), &spec);
    }
    for n in numbers(objects / 10, changed) {
        let spec =
            format!("{{organization: customer-{}, name: Place {n}, city: {}}}", n % organizations, text(n, changed));
        add(&mut out, "itglue", "Location", &format!("place-{n}"), &spec);
    }
    for n in numbers(objects / 10, changed) {
        let spec = format!(
            "{{organization: customer-{}, firstName: Person, lastName: Number {n}, title: {}}}",
            n % organizations,
            text(n, changed)
        );
        add(&mut out, "itglue", "Contact", &format!("person-{n}"), &spec);
    }
    out
}

fn cycloid(objects: usize, changed: bool) -> String {
    let mut out = String::new();
    let git = "{name: Git, type: ssh, path: git, raw: {sshKey: {valueFrom: {file: secret}}}}";
    add(&mut out, "cycloid", "Credential", "git", git);
    let repository =
        "{name: Configurations, url: \"git@git.example.com:acme/c.git\", branch: main, default: true, credential: git}";
    add(&mut out, "cycloid", "ConfigRepository", "configurations", repository);
    let stacks = "{name: Stacks, url: \"git@git.example.com:acme/stacks.git\", branch: main, credential: git}";
    add(&mut out, "cycloid", "ServiceCatalogSource", "stacks", stacks);
    let stack = "{ref: \"acme:stacks-stack\", serviceCatalogSource: stacks, visibility: shared}";
    add(&mut out, "cycloid", "ServiceCatalog", "stacks-stack", stack);
    let rules = "rules: [{action: \"organization:project:read\", effect: allow}]";
    for n in numbers(objects / 10, changed) {
        let spec = format!("{{name: Role {n}, description: {}, {rules}}}", text(n, changed));
        add(&mut out, "cycloid", "Role", &format!("role-{n}"), &spec);
    }
    for n in numbers(objects / 10, changed) {
        let members = if changed && n % 3 == 0 { "[{username: jane}, {username: bob}]" } else { "[{username: jane}]" };
        let spec = format!("{{name: Team {n}, owner: jane, roles: [organization-member], members: {members}}}");
        add(&mut out, "cycloid", "Team", &format!("team-{n}"), &spec);
    }
    for n in numbers(objects / 8, changed) {
        let spec = format!(
            "{{name: Credential {n}, description: {}, type: custom, path: some/credential-{n}, raw: {{raw: {{token: \
             {{valueFrom: {{file: secret}}}}}}}}}}",
            text(n, changed)
        );
        add(&mut out, "cycloid", "Credential", &format!("credential-{n}"), &spec);
    }
    for n in numbers(objects / 10, changed) {
        let spec = format!(
            "{{name: Policy {n}, description: {}, owner: jane, severity: critical, enabled: true, body: \"package p{n}\"}}",
            text(n, changed)
        );
        add(&mut out, "cycloid", "InfraPolicy", &format!("policy-{n}"), &spec);
    }
    add(&mut out, "cycloid", "ResourcePool", "cluster", "{name: The cluster, label: cluster}");
    for n in numbers(objects / 10, changed) {
        let spec = format!(
            "{{provider: on-premise, type: server, label: cluster, name: rack-{n}, memory: 1024, cpu: {}, storage: 2048}}",
            if changed && n % 3 == 0 { 8 } else { 4 }
        );
        add(&mut out, "cycloid", "InventoryResource", &format!("rack-{n}"), &spec);
    }
    for n in 0..(objects / 12).max(2) {
        let spec = format!("{{name: Shop {n}, description: {}, configRepository: configurations}}", text(n, changed));
        add(&mut out, "cycloid", "Project", &format!("shop-{n}"), &spec);
        for place in ["production", "staging"] {
            let spec = format!("{{project: shop-{n}, canonical: {place}, name: {place} {}}}", text(n, changed));
            add(&mut out, "cycloid", "Environment", &format!("shop-{n}-{place}"), &spec);
        }
        let spec = format!(
            "{{environment: shop-{n}-production, canonical: web, name: Web, useCase: default, serviceCatalog: \
             stacks-stack, vars: {{general: {{sizing: {{replicas: {}}}}}}}}}",
            if changed { 3 } else { 1 }
        );
        add(&mut out, "cycloid", "Component", &format!("shop-{n}-web"), &spec);
    }
    out
}

fn bindplane(objects: usize, changed: bool) -> String {
    let mut out = String::new();
    let kinds = (objects / 5).max(2);
    for n in numbers(kinds, changed) {
        let interval = if changed && n % 3 == 0 { 60 } else { 30 };
        let spec = format!(
            "{{displayName: Source {n} {}, type: host, parameters: [{{name: collection_interval, value: {interval}}}]}}",
            text(n, changed)
        );
        add(&mut out, "bindplane", "Source", &format!("source-{n}"), &spec);
    }
    for n in numbers(kinds, changed) {
        let spec = format!(
            "{{displayName: Processor {n} {}, type: batch, parameters: [{{name: send_batch_size, value: {}}}]}}",
            text(n, changed),
            n + 100
        );
        add(&mut out, "bindplane", "Processor", &format!("processor-{n}"), &spec);
    }
    for n in numbers(kinds, changed) {
        let spec = format!(
            "{{displayName: Destination {n} {}, type: splunkhec, parameters: [{{name: hostname, value: h{n}.example.com}}, \
             {{name: token, valueFrom: {{file: secret}}}}]}}",
            text(n, changed)
        );
        add(&mut out, "bindplane", "Destination", &format!("destination-{n}"), &spec);
    }
    for n in numbers(kinds, changed) {
        let spec = format!("{{displayName: Extension {n} {}, type: pprof}}", text(n, changed));
        add(&mut out, "bindplane", "Extension", &format!("extension-{n}"), &spec);
    }
    for n in numbers(kinds, changed) {
        let spec = format!(
            "{{labels: {{platform: linux, form: {}}}, rolloutPolicy: none, selector: {{matchLabels: {{group: g{n}}}}}, \
             sources: [{{name: source-{n}, processors: [{{name: processor-{n}}}]}}], destinations: [{{name: \
             destination-{n}}}]}}",
            text(n, changed)
        );
        add(&mut out, "bindplane", "Configuration", &format!("configuration-{n}"), &spec);
    }
    out
}

fn balena(objects: usize, changed: bool) -> String {
    let mut out = String::new();
    for n in 0..(objects / 14).max(2) {
        let spec = format!(
            "{{organization: acme, deviceType: raspberrypi4-64, environmentVariables: [{{name: LEVEL, value: {}}}, {{name: \
             PASSWORD, valueFrom: {{file: secret}}}}], tags: {{owner: {}}}}}",
            text(n, changed),
            text(n, changed)
        );
        add(&mut out, "balena", "Application", &format!("fleet-{n}"), &spec);
        let spec = format!(
            "{{application: fleet-{n}, serviceName: main, environmentVariables: [{{name: POLL, value: {}}}]}}",
            text(n, changed)
        );
        add(&mut out, "balena", "Service", &format!("fleet-{n}-main"), &spec);
        for d in numbers(2, changed && n % 3 == 0) {
            let spec = format!(
                "{{uuid: {:032x}, application: fleet-{n}, deviceType: raspberrypi4-64, deviceName: Device {n}-{d}, note: {}, \
                 environmentVariables: [{{name: PUMPS, value: {}}}], tags: {{street: {}}}}}",
                0x5ce0_c5ad_1d3b_4f4f_9f3e_0000_0000_0000_u128 + (n * 100 + d) as u128,
                text(d, changed),
                text(d, changed),
                text(d, changed)
            );
            add(&mut out, "balena", "Device", &format!("fleet-{n}-device-{d}"), &spec);
        }
    }
    out
}
