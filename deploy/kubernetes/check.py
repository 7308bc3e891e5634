"""What no schema says of the manifests: that their parts fit each other. Takes the folder with what kustomize made of each."""

import pathlib
import re
import sys

import yaml

made = pathlib.Path(sys.argv[1])


def documents(name):
    found = {}
    for document in yaml.safe_load_all((made / f"{name}.yaml").read_text()):
        found[document["kind"], document["metadata"]["name"]] = document
    return found


def seconds(duration):
    """`10s` as 10; only what the manifests use."""
    assert duration.endswith("s") and duration[:-1].isdigit(), duration
    return int(duration[:-1])


def port(address):
    return int(address.rsplit(":", 1)[1])


def by_name(items):
    return {item["name"]: item for item in items}


def containers_of(workload):
    pod = workload["spec"]["template"]["spec"]
    return pod, by_name(pod.get("initContainers", []) + pod["containers"])


def restricted(workload):
    """The Pod Security Standard of that name, a file system that is read, and bounds on what a container costs."""
    pod, containers = containers_of(workload)
    for name, container in containers.items():
        own, of_pod = container.get("securityContext", {}), pod.get("securityContext", {})
        effective = {**of_pod, **own}
        assert effective["runAsNonRoot"] is True, name
        assert effective["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert own["allowPrivilegeEscalation"] is False, name
        assert own["capabilities"] == {"drop": ["ALL"]}, name
        assert {"requests", "limits"} <= container["resources"].keys(), name
        assert "memory" in container["resources"]["limits"], name
        if name != "app":
            assert own["readOnlyRootFilesystem"] is True, name
            assert effective["runAsUser"] == 65532, name


def room_for(trail, workload):
    """How much a volume holds: the pod's own, or one that outlives it."""
    own = by_name(workload["spec"]["template"]["spec"]["volumes"]).get(trail)
    claims = {claim["metadata"]["name"]: claim for claim in workload["spec"].get("volumeClaimTemplates", [])}
    assert (own is None) == (trail in claims), trail
    if own is None:
        return claims[trail]["spec"]["resources"]["requests"]["storage"]
    return own["emptyDir"]["sizeLimit"]


def scraped(containers):
    """What deploy/prometheus/scrape.yaml keeps of a pod: containers and ports."""
    (job,) = yaml.safe_load(pathlib.Path("deploy/prometheus/scrape.yaml").read_text())["scrape_configs"]
    assert job["job_name"] == "qstash-guard", "as alerts.yaml has it"
    keep = {rule["source_labels"][0]: re.compile(rule["regex"]) for rule in job["relabel_configs"] if rule.get("action") == "keep"}
    kept = lambda label, value: keep[f"__meta_kubernetes_pod_container_{label}"].fullmatch(value)
    return [
        (name, port["containerPort"])
        for name, container in containers.items()
        for port in container.get("ports", [])
        if kept("name", name) and kept("port_name", port["name"])
    ]


def guard_fits(workload, config, config_map):
    pod, containers = containers_of(workload)
    guard, volumes = containers["qstash-guard"], by_name(pod["volumes"])
    mounts = {mount["mountPath"]: mount for mount in guard["volumeMounts"]}

    # The configuration is read from a folder that the ConfigMap is mounted as, under the name that it keeps.
    folder, file = guard["args"][guard["args"].index("--config") + 1].rsplit("/", 1)
    assert file in config_map["data"]
    assert "subPath" not in mounts[folder]
    assert volumes[mounts[folder]["name"]]["configMap"]["name"] == config_map["metadata"]["name"]

    # The trail is written within a volume, and shown from there.
    assert not config["audit"]["path"].startswith("/")
    trail = mounts[guard["workingDir"]]
    shown = containers["trail"]
    assert f" {config['audit']['path']} " in shown["command"][-1]
    assert shown["restartPolicy"] == "Always"
    assert {m["name"]: m["mountPath"] for m in shown["volumeMounts"]} == {trail["name"]: shown["workingDir"]}

    # The volume holds what the rotation keeps, the file in use, and as much again: over its limit a pod is evicted.
    rotate = config["audit"]["rotate"]
    kept = (rotate["keep"] + 1) * int(rotate["max_size"].removesuffix("MiB"))
    assert int(room_for(trail["name"], workload).removesuffix("Gi")) * 1024 > 1.5 * kept

    # Probes and Prometheus ask the admin port, which is not on loopback.
    admin = config["admin"]["address"]
    assert admin.startswith("0.0.0.0:")
    ports = by_name(guard["ports"])
    for probe, path in {"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}.items():
        asked = guard[probe]["httpGet"]
        assert asked["path"] == path, probe
        assert ports[asked["port"]]["containerPort"] == port(admin), probe
    annotations = workload["spec"]["template"]["metadata"]["annotations"]
    assert int(annotations["prometheus.io/port"]) == port(admin)
    assert scraped(containers) == [("qstash-guard", port(admin))]

    # It may stop in its own time.
    resources = config["resources"]
    own = seconds(resources.get("shutdown_delay", "0s")) + seconds(resources.get("shutdown_grace", "30s"))
    assert pod["terminationGracePeriodSeconds"] >= own + 5
    # And hold all its connections, of 18 kB each.
    memory = int(guard["resources"]["limits"]["memory"].removesuffix("Mi")) * 2**20
    assert memory > 2 * resources["max_connections"] * 18_000
    return guard


def selects(selector, workload):
    labels = workload["spec"]["template"]["metadata"]["labels"]
    return bool(selector) and selector.items() <= labels.items()


def sidecar():
    found = documents("sidecar")
    config_map, app = found["ConfigMap", "qstash-guard"], found["Deployment", "app"]
    config = yaml.safe_load(config_map["data"]["guard.yaml"])
    restricted(app)
    guard = guard_fits(app, config, config_map)
    assert guard["restartPolicy"] == "Always", "a native sidecar"
    assert guard in app["spec"]["template"]["spec"]["initContainers"]
    env = {entry["name"]: entry.get("value") for entry in containers_of(app)[1]["app"]["env"]}
    assert env["QSTASH_URL"] == "http://127.0.0.1:8089"
    # Only this pod reaches it: the default, which is loopback.
    assert "listen" not in config


def gateway(name="gateway", kind="Deployment"):
    found = documents(name)
    config_map, deployment = found["ConfigMap", "qstash-guard"], found[kind, "qstash-guard"]
    config = yaml.safe_load(config_map["data"]["guard.yaml"])
    assert all(document["metadata"].get("namespace") == "qstash-guard" for (kind, _), document in found.items() if kind != "Namespace")
    guard = guard_fits(deployment, config, config_map)
    redis = found["Deployment", "redis"]
    for each in (deployment, redis):
        restricted(each)

    # The Service leads to the guard, and the replicas are the autoscaler's.
    service = found["Service", "qstash-guard"]["spec"]
    assert selects(service["selector"], deployment) and not selects(service["selector"], redis)
    listens = port(config["listen"]["address"])
    assert by_name(guard["ports"])[service["ports"][0]["targetPort"]]["containerPort"] == listens == service["ports"][0]["port"]
    assert "replicas" not in deployment["spec"]
    scaler = found["HorizontalPodAutoscaler", "qstash-guard"]["spec"]
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": kind, "name": deployment["metadata"]["name"]}
    assert scaler["minReplicas"] > 1
    budget = found["PodDisruptionBudget", "qstash-guard"]["spec"]
    assert selects(budget["selector"]["matchLabels"], deployment) and budget["maxUnavailable"] < scaler["minReplicas"]

    # Secrets are where the guard looks for them.
    pod, _ = containers_of(deployment)
    folder, file = config["credentials"]["token_file"].rsplit("/", 1)
    mount = next(mount for mount in guard["volumeMounts"] if mount["mountPath"] == folder)
    secret = by_name(pod["volumes"])[mount["name"]]["secret"]["secretName"]
    assert file in found["Secret", secret]["data"]
    assert config["rate_limit_store"]["url"] == "${REDIS_URL}"
    reference = by_name(guard["env"])["REDIS_URL"]["valueFrom"]["secretKeyRef"]
    assert reference["key"] in found["Secret", reference["name"]]["data"]
    users = containers_of(redis)[0]["volumes"][0]["secret"]
    assert users["secretName"] == reference["name"] and "users.acl" in found["Secret", users["secretName"]]["data"]

    # Out of the cluster goes the guard alone.
    policies = [document["spec"] for (kind, _), document in found.items() if kind == "NetworkPolicy"]
    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in policies, "closed but for what follows"
    for policy in policies:
        selector = policy["podSelector"].get("matchLabels", {})
        leads_out = any("ipBlock" in to for rule in policy.get("egress", []) for to in rule.get("to", [{"ipBlock": "all"}]))
        assert leads_out == selects(selector, deployment)
        assert not (leads_out and selects(selector, redis))
    return guard, config, by_name(pod["volumes"])


def gateway_with_components():
    """TLS for clients, and trails that outlive their pods."""
    guard, config, volumes = gateway("gateway-components", "StatefulSet")
    mounts = {mount["mountPath"]: mount for mount in guard["volumeMounts"]}
    # The names that a Secret of the type kubernetes.io/tls has.
    for key, name in {"certificate": "tls.crt", "private_key": "tls.key"}.items():
        folder, file = config["listen"]["tls"][key].rsplit("/", 1)
        assert file == name and "subPath" not in mounts[folder], key
        secret = volumes[mounts[folder]["name"]]["secret"]["secretName"]
    certificate = yaml.safe_load((made / "kubernetes/gateway/tls/certificate.yaml").read_text())
    assert certificate["spec"]["secretName"] == secret
    assert certificate["metadata"]["namespace"] == "qstash-guard"
    assert "qstash-guard.qstash-guard.svc" in certificate["spec"]["dnsNames"]


def callers():
    (policy,) = documents("callers").values()
    spec = policy["spec"]
    assert (spec["podSelector"], spec["policyTypes"]) == ({}, ["Egress"])
    assert spec["egress"] == [{"to": [{"namespaceSelector": {}}]}], "the cluster, and nothing outside"


for fits in (sidecar, gateway, gateway_with_components, callers):
    fits()
print("the parts of the manifests fit each other")
