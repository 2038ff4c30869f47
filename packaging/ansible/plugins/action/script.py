# SPDX-License-Identifier: Apache-2.0
"""Sends a script to `rex-exec` over the connection, on its standard input, and makes a task's result of what comes back."""

from __future__ import annotations

import json
import re
import shlex

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.common.text.converters import to_text
from ansible.plugins.action import ActionBase

ARGUMENT_SPEC = {
    "src": {"type": "path"},
    "script": {"type": "str"},
    "arguments": {"type": "dict", "default": {}},
    "reason": {"type": "str"},
    "policy": {"type": "str"},
    "signature": {"type": "path"},
    "timeout": {"type": "str"},
    "memory": {"type": "str"},
    "executable": {"type": "str", "default": "rex-exec"},
}

# `rex-exec --help`: policy denied an operation, or the system refused access.
DENIED = 4

DENIAL = re.compile(r"Permission denied: (?P<user>\S+) unauthorized to perform (?P<action>\S+) for (?P<resource>.+)", re.DOTALL)
# Where in the script that was, and what its author put behind.
POSITION = re.compile(r" \(line \d+, position \d+\).*\Z", re.DOTALL)


class ActionModule(ActionBase):
    """Needs nothing but the program where the script runs."""

    TRANSFERS_FILES = False
    _requires_connection = True
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        del tmp
        _, options = self.validate_argument_spec(
            ARGUMENT_SPEC, mutually_exclusive=[("src", "script")], required_one_of=[("src", "script")]
        )
        if self._task.environment and any(self._task.environment):
            self._display.warning("rex.exec.script does not support the environment keyword")
        ran = self._low_level_execute_command(
            self._command(options), in_data=self._bundle(options), executable=False, encoding_errors="surrogate_or_strict"
        )
        report = _report(ran["stdout"])
        if report is None:
            result.update(failed=True, rc=ran["rc"], msg=_unreported(ran), stdout=ran["stdout"], stderr=ran["stderr"])
        else:
            result.update(self._told(report, ran["rc"]))
        return result

    def _command(self, options):
        words = [options["executable"], "--bundle", "--output-format", "json"]
        for option in ("reason", "timeout", "memory"):
            if options[option] is not None:
                words += [f"--{option}", options[option]]
        if self._task.check_mode:
            words.append("--dry-run")
        return shlex.join([*words, "-"])

    def _bundle(self, options):
        script = options["script"] if options["src"] is None else self._file(options["src"])
        bundle = {"script": script, "arguments": options["arguments"]}
        if options["policy"] is not None:
            bundle["policy"] = options["policy"]
        if options["signature"] is not None:
            bundle["signature"] = self._file(options["signature"])
        try:
            return json.dumps(bundle, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise AnsibleActionFail(f"the arguments are not data that a script can take: {error}") from error

    def _file(self, name):
        """The text of a file on the controller."""
        try:
            path = self._loader.get_real_file(self._find_needle("files", name), decrypt=True)
            with open(path, encoding="utf-8", newline="") as file:
                return file.read()
        except (AnsibleError, OSError, UnicodeDecodeError) as error:
            raise AnsibleActionFail(f"cannot read `{name}`: {to_text(error)}") from error

    def _told(self, report, code):
        told = {
            "rc": code,
            "changed": bool(report.get("changed")),
            "output": report.get("output", ""),
            "result": _data(report.get("output", "")),
            "logs": [_log(log) for log in report.get("logs", [])],
        }
        for name in ("alarms", "changes", "change_count"):
            if name in report:
                told[name] = report[name]
        if self._task.diff and "changes" in report:
            told["diff"] = [_diff(change) for change in report["changes"]]
        error = report.get("error")
        if error is not None or code != 0:
            error = error or {}
            told.update(failed=True, msg=error.get("message", f"`rex-exec` ended with {code}"), error_type=error.get("error_type"))
            denied = _denied(told["msg"]) if code == DENIED else None
            if denied is not None:
                told["denied"] = denied
        return told


def _report(output):
    """The result, one line of JSON; nothing if there is none. A server may have said something before it."""
    lines = output.strip().splitlines()
    try:
        report = json.loads(lines[-1])
    except (IndexError, ValueError):
        return None
    return report if isinstance(report, dict) and "status" in report else None


def _unreported(ran):
    said = ran["stderr"].strip() or ran["stdout"].strip() or "it said nothing"
    return f"there is no result of `rex-exec`, it ended with {ran['rc']}: {said}"


def _data(output):
    """A script's value is text; that of lists, numbers and truth is JSON, and what the script itself writes so."""
    try:
        return json.loads(output)
    except ValueError:
        return output


def _log(log):
    attributes = log.get("attributes", {})
    return {
        "time": attributes.get("timestamp"),
        "level": attributes.get("level"),
        "message": attributes.get("message"),
        "line": int(attributes.get("line_number") or 0),
    }


def _denied(message):
    found = DENIAL.search(message)
    if found is None:
        return None
    return {"user": found["user"], "action": found["action"], "resource": POSITION.sub("", found["resource"])}


def _diff(change):
    """A change as Ansible shows it."""
    head = f"{change['act']} {change['object']}"
    for name, property in change.get("properties", {}).items():
        head += f"\n  {name}: {property.get('before', '-')} -> {property.get('after', '-')}"
    before, after = change.get("before"), change.get("after")
    if "diff" in change:
        return {"prepared": f"{head}\n{change['diff']}"}
    if before is not None and after is not None:
        head += f"\n  content: {_side(before)} -> {_side(after)}"
    return {"prepared": f"{head}\n"}


def _side(side):
    size = f", {side['bytes']} bytes" if "bytes" in side else ""
    return f"{side['state']}{size}"
