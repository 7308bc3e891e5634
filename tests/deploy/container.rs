//! The image's command line, run as the image is: the user, folder and commands that the Dockerfile names, no capability,
//! a root file system of nothing but libraries and the binary, read-only but for the volume, and a network of its own.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crate::deployed;
use crate::support::{Folder, Guard, Upstream, request};

/// What the Dockerfile says of the image.
struct Image {
    user: String,
    folder: String,
    volume: String,
    command: Vec<String>,
    health: Vec<String>,
}

impl Image {
    fn read() -> Self {
        let text = deployed("docker/Dockerfile");
        let last = |name: &str| {
            let mut values = text
                .lines()
                .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            values.next_back().unwrap_or_else(|| panic!("no {name}")).to_owned()
        };
        let list = |text: &str| serde_json::from_str::<Vec<String>>(&text[text.find('[').unwrap()..]).unwrap();
        Image {
            user: last("USER").split_once(':').unwrap().0.to_owned(),
            folder: last("WORKDIR"),
            volume: last("VOLUME"),
            command: [list(&last("ENTRYPOINT")), list(&last("CMD"))].concat(),
            health: list(&last("HEALTHCHECK")),
        }
    }

    /// What precedes a command to make it one of the container's user, who can become nobody else.
    fn confined(&self) -> Vec<String> {
        let (user, group) = (format!("--reuid={}", self.user), format!("--regid={}", self.user));
        let rest = "--clear-groups --bounding-set=-all --inh-caps=-all --ambient-caps=-all --no-new-privs";
        ["setpriv".to_owned(), user, group]
            .into_iter()
            .chain(rest.split(' ').map(str::to_owned))
            .collect()
    }

    /// The container: its process is bubblewrap's grandchild.
    fn run(&self, volume: &Path, config: &Path) -> Command {
        let mut command = Command::new("bwrap");
        command.args([
            "--ro-bind",
            "/usr",
            "/usr",
            "--symlink",
            "usr/lib",
            "/lib",
            "--symlink",
            "usr/lib64",
            "/lib64",
        ]);
        command.args(["--tmpfs", "/usr/local", "--ro-bind", env!("CARGO_BIN_EXE_qstash-guard")]);
        command.args(["/usr/local/bin/qstash-guard", "--remount-ro", "/usr/local"]);
        // Parents that bubblewrap makes by itself are root's alone.
        for folder in ["/etc", "/var", "/var/lib"] {
            command.args(["--perms", "0755", "--dir", folder]);
        }
        command.arg("--bind").arg(volume).arg(&self.volume);
        command.arg("--ro-bind").arg(config).arg("/etc/qstash-guard");
        command.args([
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "--remount-ro",
            "/dev",
            "--remount-ro",
            "/",
        ]);
        command.args([
            "--unshare-pid",
            "--unshare-ipc",
            "--unshare-uts",
            "--die-with-parent",
            "--clearenv",
        ]);
        command.args(["--setenv", "PATH", PATH, "--chdir", &self.folder]);
        command.args(self.confined()).args(&self.command);
        command
    }
}

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Set in the test that runs within its own network.
const WITHIN: &str = "QSTASH_GUARD_TEST_WITHIN";

#[test]
fn the_image_serves_without_root_capabilities_or_a_writable_file_system() {
    if std::env::var_os(WITHIN).is_some() {
        return within();
    }
    // The image's ports are fixed; in a network of their own they are free.
    let name = std::thread::current().name().unwrap().to_owned();
    let output = Command::new("bwrap")
        .args(["--dev-bind", "/", "/", "--unshare-net", "--die-with-parent"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture"])
        .env(WITHIN, "1")
        .output()
        .unwrap();
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success() && printed.contains(" 1 passed;"), "{printed}");
}

fn within() {
    let image = Image::read();
    let user: u32 = image.user.parse().unwrap();
    assert_ne!(user, 0);
    let upstream = Upstream::json(r#"{"cancelled":3}"#);
    let config = Folder::new();
    let yaml = |count: u32| {
        format!(
            "upstream: {{url: \"{}\"}}\npolicy: {{bulk_cancel: {{max_count: {count}}}}}\n",
            upstream.url()
        )
    };
    // Root's, and readable, whatever the umask of the tests.
    let write = |name: &str, count: u32| {
        let path = config.write(name, &yaml(count));
        set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        path
    };
    write("guard.yaml", 100);
    set_permissions(config.path(), Permissions::from_mode(0o755)).unwrap();
    let volume = Arc::new(Folder::new());
    // As the image's folder is.
    chown(volume.path(), Some(user), Some(user)).unwrap();

    let guard = Guard::spawn(Arc::clone(&volume), image.run(volume.path(), config.path()));
    let process = descendant(guard.child.id(), "qstash-guard");
    assert_confined(process, user, &image.volume);

    // It answers the image's own health check, run beside it as Docker would.
    let health = || {
        Command::new("nsenter")
            .args(["--target", &process.to_string(), "--mount", "--pid"])
            .args(image.confined())
            .args(&image.health)
            .env("PATH", PATH)
            .output()
            .unwrap()
    };
    let healthy = health();
    assert_eq!(healthy.status.code(), Some(0), "{healthy:?}");

    // It serves, and its trail is in the volume.
    assert_eq!(guard.address.port(), 8089);
    let ask = |target: &str| request(guard.address, "DELETE", target, &[], b"").status();
    assert_eq!(ask("/v2/messages"), 403);
    assert_eq!(upstream.requests().len(), 0);
    assert_eq!(ask("/v2/messages?label=nightly&count=3"), 202);
    assert_eq!(upstream.requests().len(), 1);
    guard.wait_for("outcome", 1);
    assert_eq!(guard.trail_path().metadata().unwrap().uid(), user);

    // The folder that is mounted shows a file that was written anew, and the guard takes it.
    std::fs::rename(write("next.yaml", 2), config.path().join("guard.yaml")).unwrap();
    // The record comes first, then the policy, then this.
    guard.wait_for_metric(r#"qstash_guard_policy_reloads_total{result="loaded"}"#, 1);
    assert_eq!(ask("/v2/messages?label=nightly&count=3"), 403);
    assert_eq!(upstream.requests().len(), 1);

    // SIGTERM, as `docker stop` sends it.
    let told = Command::new("kill").args(["-s", "TERM", &process.to_string()]).status();
    assert!(told.unwrap().success());
    let (events, (code, verified)) = {
        guard.wait_for("stopped", 1);
        let of = |record: &serde_json::Value| record["event"].as_str().unwrap().to_owned();
        (guard.records().iter().map(of).collect::<Vec<_>>(), guard.verify())
    };
    assert_eq!(
        events,
        [
            "started",
            "denied",
            "intent",
            "outcome",
            "policy_loaded",
            "denied",
            "stopped"
        ]
    );
    assert_eq!(code, Some(0), "{verified}");
    let (status, log) = guard.ended();
    assert_eq!(status.code(), Some(0), "{log}");
}

/// The process of this name that a process has started, itself or through others.
pub(crate) fn descendant(of: u32, name: &str) -> u32 {
    let children = std::fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap();
    children
        .split_whitespace()
        .map(|child| child.parse().unwrap())
        .find_map(|child: u32| {
            let comm = std::fs::read_to_string(format!("/proc/{child}/comm")).unwrap();
            if comm.trim() == name {
                return Some(child);
            }
            Some(descendant(child, name)).filter(|found| *found != 0)
        })
        .unwrap_or(0)
}

/// Asserts what the kernel says of the process: who it is, what it may, and where it can write.
fn assert_confined(process: u32, user: u32, volume: &str) {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let field = |name: &str| -> Vec<String> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().split_whitespace().map(str::to_owned).collect()
    };
    for name in ["Uid:", "Gid:"] {
        assert_eq!(field(name), vec![user.to_string(); 4], "{status}");
    }
    assert!(field("Groups:").is_empty(), "{status}");
    for name in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(field(name), ["0000000000000000"], "{name} {status}");
    }
    assert_eq!(field("NoNewPrivs:"), ["1"]);

    // Each line: ids, device, root, mount point, options.
    let mounts = std::fs::read_to_string(format!("/proc/{process}/mountinfo")).unwrap();
    let writable: Vec<_> = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .filter(|fields| fields[5].split(',').any(|option| option == "rw"))
        .map(|fields| fields[4])
        .filter(|point| !point.starts_with("/proc") && !point.starts_with("/dev/"))
        .collect();
    assert_eq!(writable, [volume], "{mounts}");
}
