"""The command and the environment that Kubernetes gives a container, for a process on this machine."""

import os
import pathlib
import re

import yaml

MANIFESTS = pathlib.Path(__file__).resolve().parents[2] / "deploy/k8s"


def manifests(folder):
    """Returns all documents of a folder, with those of the folders that it is made of."""
    kustomization = yaml.safe_load((MANIFESTS / folder / "kustomization.yaml").read_text())
    documents = []
    for name in kustomization["resources"]:
        path = MANIFESTS / folder / name
        if path.is_dir():
            documents += manifests(path.resolve().relative_to(MANIFESTS))
        else:
            documents += yaml.safe_load_all(path.read_text())
    return documents


def environment(container, configured, index=None):
    """`configured` has the data of ConfigMaps and Secrets, by name. `index` is that of a Pod of an Indexed Job."""
    variables = {"PATH": os.environ["PATH"]}
    for source in container.get("envFrom", []):
        reference = next(iter(source.values()))
        if not reference.get("optional") or reference["name"] in configured:
            variables |= configured[reference["name"]]
    variables |= {variable["name"]: variable["value"] for variable in container.get("env", [])}
    if index is not None:
        variables["JOB_COMPLETION_INDEX"] = str(index)
    return variables


def command(container, variables):
    words = container.get("command", []) + container.get("args", [])
    return [re.sub(r"\$\((\w+)\)", lambda match: variables[match[1]], word) for word in words]
