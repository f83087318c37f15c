//! Pods, played by Podman.

use std::fs;

use serde_json::json;

use crate::Scenario;
use crate::podman::{BASE, Podman};
use crate::scene::{Scene, fresh, words};
use crate::support::app::App;
use crate::support::wait::{DEADLINE, wait_until};

pub const ALL: &[Scenario] = &[("kube::restored_by_an_init_container", restored)];

/// `runAsNonRoot`, `readOnlyRootFilesystem`, and an initContainer that restores with plain Litestream: twice, the second time
/// without the database.
fn restored(podman: &Podman) {
    let scene = Scene::new(podman).owned(1000, 0o755);
    let tmp = scene.world.path("tmp");
    fs::create_dir(&tmp).expect("the world is empty");
    fs::set_permissions(&tmp, std::os::unix::fs::PermissionsExt::from_mode(0o1777)).expect("ours");
    let volume = scene.volume().display().to_string();
    let db = scene.db().display().to_string();
    for life in 1..=2 {
        let name = fresh("pod");
        let app = App::new(&scene.trace()).count(&scene.db()).on_last("TERM", &scene.db(), 0);
        let run = [vec!["litekeeper".into(), "run".into()], scene.keeps(), vec!["--".into()]].concat();
        let run = [run, words(app.insert_forever(&scene.db(), 3))].concat();
        let mounts = json!([
            {"name": "data", "mountPath": volume}, {"name": "tmp", "mountPath": "/tmp"},
            {"name": "bin", "mountPath": "/usr/local/bin", "readOnly": true},
        ]);
        let bare = json!({"readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}});
        let container = |name: &str, command: &[String]| {
            json!({
                "name": name, "image": BASE, "command": command, "volumeMounts": mounts, "securityContext": bare,
                "imagePullPolicy": "Never",
            })
        };
        let restore =
            ["litestream", "restore", "-if-db-not-exists", "-if-replica-exists", "-o", &db, &scene.replica()];
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {
                "restartPolicy": "Never",
                "securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "runAsGroup": 1000},
                "initContainers": [container("restore", &restore.map(str::to_owned))],
                "containers": [container("app", &run)],
                "volumes": [
                    {"name": "data", "hostPath": {"path": volume}}, {"name": "tmp", "hostPath": {"path": tmp}},
                    {"name": "bin", "hostPath": {"path": podman.bin}},
                ],
            },
        });
        let file = scene.world.write("pod.yaml", &pod.to_string()).display().to_string();
        let before = scene.trace().acked().len();
        podman.ok(["kube", "play", "--network", "none", &file]);
        wait_until("rows", DEADLINE, || scene.trace().acked().len() > before + 10);
        let container = format!("{name}-app");
        podman.ok(["stop", "--time", "10", &container]);
        let log = podman.ok(["logs", &container]);
        assert!(log.contains("everything is on the replica"), "{log}");
        let code = podman.ok(["inspect", "--format", "{{.State.ExitCode}}", &container]);
        assert_eq!(code.trim(), "0", "{log}");
        podman.ok(["kube", "down", &file]);
        scene.assert_nothing_lost();
        let counted = scene.trace().all("count");
        let expected = if life == 1 { "none".to_owned() } else { before.to_string() };
        assert_eq!(counted.last().map(|event| event.rest.as_str()), Some(expected.as_str()));
        // The volume is a new one, but for the backup.
        for entry in fs::read_dir(scene.volume()).expect("it is there").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.contains("app.db") {
                let path = entry.path();
                if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
                    .expect("root may");
            }
        }
    }
}
