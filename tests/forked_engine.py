"""Runs the sandbox's engine in forks of a process that has imported Pulumi: `forked_engine.py SOCKET`.

That import, and boto3's reading of its services, take longer than most programs of the tests. Each program needs a
process of its own, since Pulumi's settings are global. engine_client.py asks for one; this process ends when its stdin
does.
"""

import importlib
import os
import runpy
import select
import signal
import socket
import sys
import traceback

import kept

from sandbox.engine import deployment, program, provider, state  # noqa: F401  # for the forks
from sandbox.engine.aws import Aws

# Of Pulumi's provider, and of boto3.
MODULES = (
    *("apigateway", "cloudwatch", "dynamodb", "ec2", "iam", "lambda_", "rds", "s3", "scheduler", "secretsmanager"),
    "sfn",
)
SERVICES = (
    *("apigateway", "cloudwatch", "dynamodb", "ec2", "iam", "lambda", "logs", "rds", "s3", "scheduler"),
    *("secretsmanager", "stepfunctions"),
)
STREAMS = (0, 1, 2)


def prepare():
    """Import and read what the forks need."""
    kept.install()
    provider.load()
    for name in MODULES:
        hasattr(importlib.import_module(f"pulumi_aws.{name}"), "")  # only what is asked for a name is imported
    aws = Aws("http://127.0.0.1:1")
    for service in SERVICES:
        aws.client(service)


def main():
    prepare()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(sys.argv[1])
        listener.listen()
        while True:
            readable, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in readable:
                return
            client, _ = listener.accept()
            if os.fork() == 0:
                engine(client)
            client.close()


def engine(client):
    """Be the engine of one client, in a fork."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    folder, streams, _, _ = socket.recv_fds(client, 4096, len(STREAMS))
    for theirs, mine in zip(streams, STREAMS, strict=True):
        os.dup2(theirs, mine)
        os.close(theirs)
    os.chdir(folder)
    sys.argv = ["sandbox.engine"]
    code = 1
    try:
        runpy.run_module("sandbox.engine", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:  # noqa: BLE001  # it has to be seen, whatever it is
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    client.send(str(code).encode())
    os._exit(code)


if __name__ == "__main__":
    main()
