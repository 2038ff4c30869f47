# SPDX-License-Identifier: Apache-2.0
# What this does is in plugins/action/script.py: it runs on the controller, and needs no Python where the script runs.

DOCUMENTATION = r"""
---
module: script
short_description: Run a script through Rex
description:
  - Sends a script with its arguments to C(rex-exec) where the task runs. Rex asks its policies about each operation before it happens,
    for the account that the connection is made as.
  - Script, arguments, policy and signature go over standard input. Nothing is written there, nothing of it stands in a command line, and
    neither Python nor a shell is needed. So an account may have nothing but C(rex-exec --ssh) as the forced command of its key
    (C(ForceCommand) or C(restrict,command=) of OpenSSH); set C(gather_facts) to C(false) for it.
version_added: 0.1.0
options:
  src:
    description:
      - The script, a file on the controller, looked for in C(files) of role and play. It may be encrypted by C(ansible-vault).
      - One of O(src) and O(script) is needed.
    type: path
  script:
    description: The script itself.
    type: str
  arguments:
    description:
      - Arguments of the script by their names. Their types are those of YAML; there is none for C(null).
    type: dict
    default: {}
  reason:
    description: Why it is run, for policies that ask, and for the audit log.
    type: str
  policy:
    description: A policy, as text, that must allow each operation as well. It can only take rights away.
    type: str
  signature:
    description:
      - A signature of the script, a file on the controller, as C(ssh-keygen -Y sign -n rex-script) writes it.
    type: path
  timeout:
    description: The longest time the script may take, such as C(30s) or C(5m); more than the broker's configuration allows is refused.
    type: str
  memory:
    description: The most memory the script may use, such as C(512M).
    type: str
  executable:
    description: The program to call. For an account with a forced command only its name counts.
    type: str
    default: rex-exec
attributes:
  check_mode:
    support: full
    description: Runs the script as a dry run (C(--dry-run)). All is decided, nothing is changed, and RV(ignore:changed) tells whether something would be.
  diff_mode:
    support: full
    description: In check mode shows what would be changed. Without it nothing is shown.
  platform:
    platforms: linux
    support: full
notes:
  - The keyword C(environment) has no effect.
  - With C(become) the script runs as the user that the task becomes, under the policies for that one.
  - Denials fail the task, also in check mode; C(rc) is 4, and RV(denied) tells what was denied.
author:
  - The authors of Rex
"""

EXAMPLES = r"""
- name: Set the port of the service
  rex.exec.script:
    src: set-port.rhai
    arguments:
      file: /etc/app/app.conf
      port: 8080
    reason: TICKET-17

- name: Look at what is in a folder, and be able to do no more
  rex.exec.script:
    script: |
      ls(folder).keys()
    arguments:
      folder: /srv/app
    policy: |
      permit(
        principal,
        action in [file_system::Action::"open", file_system::Action::"read", file_system::Action::"stat"],
        resource in file_system::Dir::"/srv/app"
      );
  register: listing

- name: Go on with the result as data
  ansible.builtin.debug:
    msg: "{{ listing.result | length }} entries"
"""

RETURN = r"""
rc:
  description: The exit code of C(rex-exec); C(rex-exec --help) lists them.
  type: int
  returned: always
output:
  description: The value of the script, as text.
  type: str
  returned: when the script was run
result:
  description:
    - The value of the script as data where it is JSON, as lists, numbers and truth are; else as RV(output).
    - A map is JSON if the script ends with C(.to_json()) of it.
  type: raw
  returned: when the script was run
change_count:
  description: How many operations have changed something; in check mode how many changes there would be.
  type: int
  returned: when the script was run
changes:
  description:
    - What would be changed, in the order in which the script asked for it.
    - Each has the C(operation), the C(act), the C(object), and where they are known C(properties), C(before), C(after) and C(diff).
  type: list
  elements: dict
  returned: in check mode
logs:
  description: What the script has logged, each with C(level), C(message), C(line) and C(time).
  type: list
  elements: dict
  returned: when the script was run
alarms:
  description: The alarms that the script raised.
  type: list
  elements: dict
  returned: when there are any
error_type:
  description: The kind of error.
  type: str
  returned: on failure
  sample: ACCESS_DENIED_EXCEPTION
denied:
  description: What was denied, as the message tells it. Which policies decided is in the audit log of the machine.
  type: dict
  returned: when policy denied an operation
  sample:
    user: deploy
    action: file_system::Action::"open"
    resource: file_system::File::/etc/shadow
"""
