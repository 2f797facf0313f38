"""What deploy/k8s/load.sh needs of kubectl: Jobs are processes on this machine, in the folder RESULTS.

The state is in the folder STATE: ConfigMaps by name, and of each Pod of a Job its pid, its output and its exit code.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import yaml

import pods

STATE = pathlib.Path(os.environ["STATE"])
RESULTS = pathlib.Path(os.environ["RESULTS"])


def create(arguments):
    """create configmap NAME --dry-run=client -o yaml --from-literal=KEY=VALUE…"""
    data = dict(re.fullmatch(r"--from-literal=(\w+)=(.*)", a).groups() for a in arguments if a.startswith("--from-literal"))
    name = arguments[1]
    print(yaml.safe_dump({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}))


def kustomize(arguments):
    print(yaml.safe_dump_all(pods.manifests(pathlib.Path(arguments[0]).relative_to(pods.MANIFESTS))))


def apply(_):
    for document in yaml.safe_load_all(sys.stdin):
        name = document["metadata"]["name"]
        if document["kind"] == "ConfigMap":
            (STATE / f"{name}.json").write_text(json.dumps(document["data"]))
        elif document["kind"] == "Job":
            start_job(name, document["spec"])


def start_job(name, spec):
    folder = STATE / name
    folder.mkdir()
    configured = {path.stem: json.loads(path.read_text()) for path in STATE.glob("*.json")}
    container = spec["template"]["spec"]["containers"][0]
    for index in range(spec.get("completions", 1)):
        variables = pods.environment(container, configured, index)
        # Ends with the group of its parent.
        script = 'out=$1; shift; "$@" >"$out" 2>&1; echo $? >"$out.code"'
        command = ["sh", "-c", script, "pod", str(folder / str(index)), *pods.command(container, variables)]
        subprocess.Popen(command, env=variables, cwd=RESULTS, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    (folder / "completions").write_text(str(spec.get("completions", 1)))


def codes(name):
    return [path.read_text().strip() for path in sorted((STATE / name).glob("*.code"))]


def get(arguments):
    """get job NAME -o jsonpath=…, get pod -l …=NAME -o jsonpath=…"""
    path = arguments[-1]
    name = arguments[2].split("=")[-1] if arguments[0] == "pod" else arguments[1]
    count, ended = int((STATE / name / "completions").read_text()), codes(name)
    if path.endswith(".exitCode}"):
        print(ended[0])
    elif path == "jsonpath={.spec.completions}":
        print(count)
    elif path == "jsonpath={.status.ready}":
        print(count - len(ended))
    elif path == "jsonpath={.status.conditions[*].type}":
        is_complete = set(ended) == {"0"}
        print(("SuccessCriteriaMet Complete" if is_complete else "FailureTarget Failed") if len(ended) == count else "")
    else:
        sys.exit(f"kubectl.py does not know {path}")


def delete(arguments):
    for name in arguments[1:]:
        shutil.rmtree(STATE / name, ignore_errors=True)


def logs(arguments):
    print((STATE / arguments[0].removeprefix("job/") / "0").read_text(), end="")


VERBS = {"apply": apply, "create": create, "delete": delete, "get": get, "kustomize": kustomize, "logs": logs}
VERBS[sys.argv[1]](sys.argv[2:])
