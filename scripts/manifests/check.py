"""Checks the manifests in deploy/k8s: by the schemas of Kubernetes, and against the programs and settings of this repository.

Usage: check.py <folder with plant-api, plant-loadtest and seed_test_data>
"""

import copy
import functools
import json
import pathlib
import re
import subprocess
import sys
import urllib.parse

import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "deploy/k8s"
# The oldest version that has all fields which are used, and the newest whose schemas the package has.
VERSIONS = ["1.29", kubernetes_validate.latest_version()]
# Maps whose keys are free, so that no schema knows them.
FREE = {"labels", "annotations", "matchLabels", "selector", "data", "requests", "limits"}
OUR_IMAGE = "plant:local"
COMMIT_TIMEOUT = 5

# It reads its files again for each document.
kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)

problems = []


def report(where, problem):
    problems.append(f"{where}: {problem}")


def read(path):
    return [(path.relative_to(ROOT), document) for document in yaml.safe_load_all(path.read_text()) if document]


def schema_error(document, version):
    try:
        kubernetes_validate.validate(document, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{'/'.join(map(str, error.path))}: {error.message}"
    return None


def check_schema(where, document):
    for version in VERSIONS:
        if error := schema_error(document, version):
            report(where, f"Kubernetes {version}: {error}")


def misspelled(node, parent=""):
    """Yields the name of each field, and a function that misspells it in the document that `node` is a part of."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else []
    for key, value in list(items):
        path = f"{parent}/{key}"
        if isinstance(node, dict) and pathlib.PurePath(parent).name not in FREE:
            yield path
        yield from misspelled(value, path)


def misspell(document, path):
    document = copy.deepcopy(document)
    node = document
    *parents, last = path.strip("/").split("/")
    # Keys of free maps may contain a slash, but nothing below them is misspelled.
    for key in parents:
        node = node[int(key)] if isinstance(node, list) else node[key]
    node[f"{last}x"] = node.pop(last)
    return document


def check_misspelled(where, document):
    """Each field is known to the schema: misspelled, it is an error. Returns the number of fields."""
    paths = list(misspelled(document))
    for path in paths:
        try:
            if schema_error(misspell(document, path), VERSIONS[-1]) is None:
                report(where, f"{path} misspelled is not detected by the schema")
        except (KeyError, kubernetes_validate.SchemaNotFoundError):
            pass  # apiVersion and kind: there is no such schema
    return len(paths)


def check_kustomization(path):
    folder, kustomization = path.parent, yaml.safe_load(path.read_text())
    unknown = set(kustomization) - {"apiVersion", "kind", "resources"}
    if unknown:
        report(path.relative_to(ROOT), f"{unknown} is not checked by this script")
    listed = {name for name in kustomization["resources"] if not name.startswith("../")}
    present = {file.name for file in folder.glob("*.yaml")} - {path.name}
    if listed != present:
        report(path.relative_to(ROOT), f"lists {sorted(listed)}, the folder has {sorted(present)}")
    for name in set(kustomization["resources"]) - listed:
        if not (folder / name / "kustomization.yaml").exists():
            report(path.relative_to(ROOT), f"there is no {name}")


def pod_of(document):
    return document.get("spec", {}).get("template") if document["kind"] in ("Deployment", "Job") else None


class Programs:
    """The options and environment variables that the programs know."""

    def __init__(self, folder):
        self.folder = folder
        self.texts = {}
        self.settings = set(re.findall(r"`([A-Z][A-Z_]+)`", (ROOT / "docs/settings.md").read_text()))
        self.settings |= set(re.findall(r"\[env: ([A-Z_]+)", self.help(["plant-loadtest", "run"])))

    def help(self, command):
        key = tuple(command)
        if key not in self.texts:
            program = pathlib.Path(self.folder) / command[0]
            run = subprocess.run([program, *command[1:], "--help"], capture_output=True, text=True) if program.exists() else None
            self.texts[key] = run.stdout if run and run.returncode == 0 else None
        return self.texts[key]

    def problem(self, command):
        """Returns what is wrong with the command of a container."""
        words = command[:1] if command[0] == "seed_test_data" else command[:2]
        text = self.help(words)
        if text is None:
            return f"there is no `{' '.join(words)}`"
        for argument in command[len(words):]:
            if not argument.startswith("-"):
                if not re.search(r"^  [<\[][A-Z]+[>\]]", text, re.M):
                    return f"`{' '.join(words)}` has no argument `{argument}`"
                continue
            option, has_value, _ = argument.partition("=")
            found = re.search(rf"(?:^|\s){re.escape(option)}(\[?[ =]<[^>]+>)?", text)
            if not found or not option.startswith("--"):
                return f"`{' '.join(words)}` has no option {option}"
            if bool(has_value) != bool(found.group(1)):
                return f"{option} {'has no' if has_value else 'needs a'} value"
        return None


def check_container(where, document, container, programs, configured):
    command = container.get("command", []) + container.get("args", [])
    is_ours = container["image"] == OUR_IMAGE
    if is_ours and (problem := programs.problem(command)):
        report(where, problem)
    if not is_ours and not re.fullmatch(r"[a-z/]+:\d+\.\d+\.\d+", container["image"]):
        report(where, f"the image {container['image']} has no version")
    if container["image"].startswith("locustio/locust:"):
        tested = re.search(r"^NEWEST=(.*)$", (ROOT / "scripts/check_locust.sh").read_text(), re.M)[1]
        if container["image"].split(":")[1] != tested:
            report(where, f"the newest Locust that is tested is {tested}")
    names = {variable["name"] for variable in container.get("env", [])}
    known = set(names)
    for source in container.get("envFrom", []):
        known |= configured.get(next(iter(source.values()))["name"], set())
    if document["spec"].get("completionMode") == "Indexed":
        known.add("JOB_COMPLETION_INDEX")
    used = set(re.findall(r"\$\((\w+)\)", " ".join(command)))
    for name in used - known:
        report(where, f"$({name}) is not set")
    for name in names - used - programs.settings:
        if is_ours or name not in {"HOME", "LOAD_TEST_OUTCOMES"}:
            report(where, f"{name} is no known setting")
    ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        probe = container.get(kind, {})
        for handler in ("httpGet", "tcpSocket"):
            if handler in probe and probe[handler]["port"] not in ports:
                report(where, f"{kind}: there is no port {probe[handler]['port']}")
        path = probe.get("httpGet", {}).get("path")
        if is_ours and path and f'path = "{path}"' not in (ROOT / "plant-api/src/health.rs").read_text():
            report(where, f"{kind}: the service has no {path}")
    security = container.get("securityContext", {})
    expected = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    if security != expected:
        report(where, f"securityContext is {security}")
    if "memory" not in container.get("resources", {}).get("limits", {}) or "cpu" not in container["resources"].get("requests", {}):
        report(where, "has no limit of memory, or no request of CPU")


def check_pod(where, document, pod, programs, configured):
    spec = pod["spec"]
    for name in ("automountServiceAccountToken", "enableServiceLinks"):
        if spec.get(name) is not False:
            report(where, f"{name} is not false")
    security = spec.get("securityContext", {})
    if not security.get("runAsNonRoot") or not security.get("runAsUser") or not security.get("seccompProfile"):
        report(where, "may run as root, or without seccomp")
    for container in spec["containers"]:
        check_container(where, document, container, programs, configured)
        mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
        if mounted != {volume["name"] for volume in spec.get("volumes", [])}:
            report(where, "mounts other volumes than the Pod has")
    if document["kind"] == "Deployment" and not has_labels(pod, document["spec"]["selector"]["matchLabels"]):
        report(where, "the selector does not match the labels of the Pods")
    if document["spec"].get("completionMode") == "Indexed":
        count = next(env["value"] for env in spec["containers"][0]["env"] if env["name"] == "COUNT")
        numbers = {document["spec"]["completions"], document["spec"]["parallelism"], int(count)}
        if len(numbers) != 1:
            report(where, f"completions, parallelism and COUNT differ: {sorted(numbers)}")


def has_labels(pod, labels):
    return labels.items() <= pod["metadata"]["labels"].items()


def check_references(documents):
    """Services, budgets, autoscalers, volumes and URLs name what exists."""
    pods = [pod for _, document in documents if (pod := pod_of(document))]
    names = {(document["kind"], document["metadata"]["name"]) for _, document in documents}
    services = {}
    for where, document in documents:
        spec = document.get("spec", {})
        if document["kind"] == "Service":
            targets = [pod for pod in pods if has_labels(pod, spec["selector"])]
            if len(targets) != 1:
                report(where, f"the selector of the Service matches {len(targets)} kinds of Pods")
            for port in spec["ports"]:
                ports = [p["name"] for pod in targets for c in pod["spec"]["containers"] for p in c.get("ports", [])]
                if port["targetPort"] not in ports:
                    report(where, f"there is no port {port['targetPort']}")
            services[document["metadata"]["name"]] = {port["port"] for port in spec["ports"]}
        if document["kind"] == "PodDisruptionBudget":
            if not any(has_labels(pod, spec["selector"]["matchLabels"]) for pod in pods):
                report(where, "the selector of the PodDisruptionBudget matches no Pods")
        if document["kind"] == "HorizontalPodAutoscaler":
            target = spec["scaleTargetRef"]
            if (target["kind"], target["name"]) not in names:
                report(where, f"there is no {target['kind']} {target['name']}")
    for where, document in documents:
        for volume in (pod_of(document) or {}).get("spec", {}).get("volumes", []):
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            if claim and ("PersistentVolumeClaim", claim) not in names:
                report(where, f"there is no PersistentVolumeClaim {claim}")
        for url in re.findall(r"http://[^\s\"]+", json.dumps(document)):
            parts = urllib.parse.urlsplit(url)
            if parts.port not in services.get(parts.hostname, set()):
                report(where, f"there is no Service of {url}")
        for host in re.findall(r"--master-host=([\w-]+)", json.dumps(document)):
            if 5557 not in services.get(host, set()):
                report(where, f"there is no Service {host} with the port of a master")


def check_shutdown(documents, settings):
    needed = int(settings["PLANT_SHUTDOWN_GRACE"]) + int(settings["PLANT_DRAIN_TIMEOUT"]) + COMMIT_TIMEOUT
    for where, document in documents:
        pod = pod_of(document)
        if pod and pod["spec"]["containers"][0].get("envFrom", [{}])[0].get("configMapRef", {}).get("name") == "plant":
            if pod["spec"].get("terminationGracePeriodSeconds", 30) <= needed:
                report(where, f"terminationGracePeriodSeconds is not more than {needed} s")
            container = pod["spec"]["containers"][0]
            for name in ("PLANT_LISTEN", "PLANT_WORK_LISTEN"):
                if settings[name] != f"0.0.0.0:{container['ports'][0]['containerPort']}":
                    report(where, f"{name} is not its port")


def literals(text, command):
    """Returns the keys of the ConfigMaps and Secrets that a page or a script creates, by name."""
    found = {}
    text = text.replace("\\\n", " ")
    for name, rest in re.findall(rf"kubectl create {command} ([\w-]+)(.*)", text):
        found.setdefault(name, set()).update(re.findall(r"--from-literal=([A-Z_]+)=", rest))
    return found


def main():
    programs = Programs(sys.argv[1])
    paths = sorted(path for path in MANIFESTS.glob("*/*.yaml"))
    documents = [item for path in paths if path.name != "kustomization.yaml" for item in read(path)]
    page = (ROOT / "docs/kubernetes.md").read_text()
    configured = literals(page, "secret generic") | literals((MANIFESTS / "load.sh").read_text(), "configmap")
    for _, document in documents:
        if document["kind"] == "ConfigMap":
            configured.setdefault(document["metadata"]["name"], set()).update(document["data"])
            settings = document["data"]
    for name, keys in configured.items():
        for key in keys - programs.settings - {"HOST", "PROFILE", "START_AT", "FOLDER"}:
            report(f"ConfigMap or Secret {name}", f"{key} is no known setting")
    fields = 0
    for where, document in documents:
        name = f"{where}, {document['kind']} {document['metadata']['name']}"
        check_schema(name, document)
        fields += check_misspelled(name, document)
        if pod := pod_of(document):
            check_pod(name, document, pod, programs, configured)
    for path in paths:
        if path.name == "kustomization.yaml":
            check_kustomization(path)
    check_references(documents)
    check_shutdown(documents, settings)
    for problem in problems:
        print(problem)
    print(
        f"{len(documents)} manifests are valid for Kubernetes {' and '.join(VERSIONS)}, and each of their {fields} fields is an error"
        " when it is misspelled" if not problems else f"{len(problems)} problems"
    )
    return 1 if problems else 0


sys.exit(main())
