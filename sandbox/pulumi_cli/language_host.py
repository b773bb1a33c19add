"""Runs Python programs for the pulumi CLI: what `pulumi-language-python` does, where only the CLI could be built."""

import importlib.metadata
import json
import os
import platform
import selectors
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import language_pb2 as language
from pulumi.runtime.proto import language_pb2_grpc, plugin_pb2

from sandbox.pulumi_cli import plugin

LONGEST_PRINTED = 65536  # bytes a message
REPORTED = 32  # exit code of the runner where the program's error is on the screen already


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Pulumi's language protocol for Python.

    Args:
        engine: the address of the engine, which receives what the program logs.
        runner: the script of Pulumi's SDK that runs a program.
    """

    def __init__(self, engine: str, runner: Path) -> None:
        self._engine = engine
        self._runner = runner

    def Handshake(  # noqa: N802  # the protocol's
        self, request: language.LanguageHandshakeRequest, context: grpc.ServicerContext
    ) -> language.LanguageHandshakeResponse:
        del request, context
        return language.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:  # noqa: N802
        del request, context
        return plugin_pb2.PluginInfo(version=importlib.metadata.version("pulumi"))

    def GetRequiredPackages(  # noqa: N802  # the protocol's
        self, request: language.GetRequiredPackagesRequest, context: grpc.ServicerContext
    ) -> language.GetRequiredPackagesResponse:
        """Name none: the engine asks for a provider when the program registers the first resource of it."""
        del request, context
        return language.GetRequiredPackagesResponse()

    def InstallDependencies(  # noqa: N802  # the protocol's
        self, request: language.InstallDependenciesRequest, context: grpc.ServicerContext
    ) -> Iterator[language.InstallDependenciesResponse]:
        """Install nothing: `make setup` did."""
        del request, context
        return iter(())

    def About(self, request: language.AboutRequest, context: grpc.ServicerContext) -> language.AboutResponse:  # noqa: N802
        del request, context
        return language.AboutResponse(executable=sys.executable, version=platform.python_version())

    def GetProgramDependencies(  # noqa: N802  # the protocol's
        self, request: language.GetProgramDependenciesRequest, context: grpc.ServicerContext
    ) -> language.GetProgramDependenciesResponse:
        del request, context
        found = importlib.metadata.distributions()
        return language.GetProgramDependenciesResponse(
            dependencies=[language.DependencyInfo(name=each.name, version=each.version) for each in found]
        )

    def Run(self, request: language.RunRequest, context: grpc.ServicerContext) -> language.RunResponse:  # noqa: N802
        """Run the program once, in a process of its own."""
        del context
        done = subprocess.run(self._command(request), env=_environment(request), check=False)  # noqa: S603  # our words
        if done.returncode in {0, REPORTED}:
            return language.RunResponse(bail=done.returncode == REPORTED)
        return language.RunResponse(error=f"Program exited with non-zero exit code: {done.returncode}")

    def RunPlugin(  # noqa: N802  # the protocol's
        self, request: language.RunPluginRequest, context: grpc.ServicerContext
    ) -> Iterator[language.RunPluginResponse]:
        """Run a policy pack until the engine ends this call, and pass on what it prints: first its port."""
        command = [str(_python(request.info)), "-u", request.info.program_directory, *request.args]
        environment = dict(each.split("=", 1) for each in request.env)
        with subprocess.Popen(  # noqa: S603  # our words
            command, cwd=request.pwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            context.add_callback(process.terminate)
            yield from _printed(process)
        yield language.RunPluginResponse(exitcode=process.returncode)

    def _command(self, request: language.RunRequest) -> list[str]:
        options = {
            "monitor": request.monitor_address,
            "engine": self._engine,
            "project": request.project,
            "stack": request.stack,
            "organization": request.organization,
            "root_directory": request.info.root_directory,
            "pwd": request.pwd,
            "dry_run": str(request.dryRun).lower(),
            "parallel": str(request.parallel),
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        return [str(_python(request.info)), "-u", str(self._runner), *words, request.info.entry_point, *request.args]


def _printed(process: subprocess.Popen[bytes]) -> Iterator[language.RunPluginResponse]:
    """What a process prints, as soon as it does, until it has closed both streams."""
    assert process.stdout
    assert process.stderr
    with selectors.DefaultSelector() as selector:
        out = selector.register(process.stdout, selectors.EVENT_READ)
        selector.register(process.stderr, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                text = os.read(key.fd, LONGEST_PRINTED)
                if not text:
                    selector.unregister(key.fileobj)
                elif key.fd == out.fd:
                    yield language.RunPluginResponse(stdout=text)
                else:
                    yield language.RunPluginResponse(stderr=text)


def _python(info: language.ProgramInfo) -> Path:
    """The Python of the virtual environment that Pulumi.yaml names, else this one."""
    environment = dict(info.options).get("virtualenv")
    return Path(info.root_directory, str(environment), "bin", "python") if environment else Path(sys.executable)


def _environment(request: language.RunRequest) -> dict[str, str]:
    config = {
        "PULUMI_CONFIG": json.dumps(dict(request.config)),
        "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
    }
    return {**os.environ, **config}


def main() -> None:
    """Serve the CLI; the arguments are the runner's path and, last, the CLI's own address."""
    host = LanguageHost(engine=sys.argv[-1], runner=Path(sys.argv[1]))
    plugin.serve(lambda server: language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server))


if __name__ == "__main__":
    main()
