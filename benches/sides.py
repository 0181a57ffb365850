"""The programs that are measured, on loopback: the server and what stands beside it."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import venv

import measure

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent
NGINX = """
daemon off; master_process off; worker_processes 1; pid {temp}/nginx.pid; error_log stderr warn;
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile on; tcp_nopush on; default_type application/zip;
  client_body_temp_path {temp}/nginx; proxy_temp_path {temp}/nginx; fastcgi_temp_path {temp}/nginx;
  uwsgi_temp_path {temp}/nginx; scgi_temp_path {temp}/nginx;
  server {{ listen 127.0.0.1:{port}; location = / {{ root {folder}; try_files /{file} =404; }} }}
}}
"""


def say(text):
    print(text, file=sys.stderr, flush=True)


def peers_python():
    """The interpreter of a virtual environment with the peers in it, made once."""
    folder = REPOSITORY / "target/bench-venv"
    python = folder / "bin/python"
    if not python.exists():
        say("making the environment of the peers …")
        venv.create(folder, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r",
                    HERE / "requirements.txt"], check=True, timeout=900)
    return python


def build():
    say("building the release …")
    subprocess.run(["cargo", "build", "--release", "--locked"], cwd=REPOSITORY, check=True, timeout=7200)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    return target / "release/amigo-admin"


def build_zip_rs():
    target = REPOSITORY / "target/bench-zip-rs"
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=HERE / "peers/zip_rs", check=True,
                   timeout=900, env=os.environ | {"CARGO_TARGET_DIR": str(target)})
    return target / "release/zip_rs"


def nginx():
    """Its path, where it is installed."""
    return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")


def nginx_version():
    if not nginx():
        return None
    answer = subprocess.run([nginx(), "-v"], capture_output=True, text=True, check=True, timeout=10)
    return answer.stderr.strip().removeprefix("nginx version: ")


@contextlib.contextmanager
def running(command, port, log, **environment):
    """A server that listens on the port, ended at the end; its last words are shown if something fails."""
    with open(log, "w", encoding="utf-8") as output:
        process = subprocess.Popen(list(map(str, command)), stdout=output, stderr=output, env=os.environ | environment)
        try:
            measure.wait_for(process, port)
            process.port = port
            yield process
        except Exception:
            say("".join(log.read_text(encoding="utf-8").splitlines(keepends=True)[-20:]))
            raise
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def serve(binary, temp):
    port = measure.free_port()
    command = [binary, "--data", temp / "data", "serve", "--listen", f"127.0.0.1:{port}"]
    return running(command, port, temp / "server.log", AMIGO_ADMIN_LIMITS__RATE_LIMITS="false")


def archives(python, folder, ready, temp, stack):
    """What serves the entries in the folder as a zip, by name; nginx serves the ready archive."""
    peers = {}
    for method in ("store", "deflate"):
        port = measure.free_port()
        command = [python, "-m", "uvicorn", "zipstream_app:app", "--app-dir", HERE / "peers", "--host", "127.0.0.1",
                   "--port", port, "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
        peers[f"zipstream-ng, {method.upper()}"] = stack.enter_context(running(
            command, port, temp / f"{method}.log", FOLDER=str(folder), METHOD=method, PYTHONDONTWRITEBYTECODE="1"))
    port = measure.free_port()
    peers["Rust's zip, DEFLATE"] = stack.enter_context(
        running([build_zip_rs(), port, folder], port, temp / "zip_rs.log"))
    if nginx():
        port = measure.free_port()
        configuration = temp / "nginx.conf"
        configuration.write_text(NGINX.format(temp=temp, port=port, folder=ready.parent, file=ready.name))
        command = [nginx(), "-c", configuration, "-p", temp, "-e", "stderr"]
        peers["nginx, our archive as a ready file"] = stack.enter_context(running(command, port, temp / "nginx.log"))
    return peers
