"""Real Elasticsearch and OpenSearch servers for tests, from the jars that Maven Central has."""

import base64
import fcntl
import json
import os
import re
import shutil
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support.ports import free_port
from tests.support.servers.certificates import Certificates, make_certificates
from tests.support.servers.launching import archive_of, launcher
from tests.support.servers.process import ServerProblem, ServerProcess
from tests.support.servers.security import ADMIN, PASSWORD, secure_elasticsearch, secure_opensearch

HERE = Path(__file__).parent

INSTALL = "apt-get install openjdk-17-jdk-headless maven"

# One that is just starting may never answer.
ASK_AGAIN_SECONDS = 30.0

# Without its second compiler, Java needs half the processor time to start.
SMALL = ("-Xms256m", "-Xmx256m", "-XX:TieredStopAtLevel=1")
LARGE = ("-Xms1g", "-Xmx1g")

LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %-5p %c{1.} %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """A product and version that tests run against."""

    name: str
    version: str
    java_options: tuple[str, ...]
    plugins: tuple[str, ...]
    """Class names below ``package``."""
    is_secured: bool = False
    """Whether it wants TLS and a login."""
    java: int = 17
    """The least version of Java."""
    is_modern: bool = False
    """Whether it is an Elasticsearch from 8 on, whose plugins are in directories of modules."""

    @property
    def has_analyzers(self) -> bool:
        """Whether their plugin is to be had for this version."""
        return any("analysis" in name for name in self.plugins)

    @property
    def package(self) -> str:
        return f"org.{self.name}"

    @property
    def release(self) -> str:
        return f"{self.name}-{self.version}"

    def __str__(self) -> str:
        return f"{self.release}-secured" if self.is_secured else self.release


PLUGINS = (
    "transport.Netty4Plugin",
    "analysis.common.CommonAnalysisPlugin",
    "painless.PainlessPlugin",
    "index.reindex.ReindexPlugin",
    "index.mapper.MapperExtrasPlugin",
)

ELASTICSEARCH = Kind(
    "elasticsearch",
    "7.10.2",
    (
        "-Des.set.netty.runtime.available.processors=false",
        "-Des.distribution.flavor=default",
        "-Des.distribution.type=tar",
    ),
    (*PLUGINS, "ingest.common.IngestCommonPlugin"),
)
OPENSEARCH = Kind(
    "opensearch",
    "2.19.4",
    ("-Dopensearch.set.netty.runtime.available.processors=false",),
    PLUGINS,
)
KINDS = (ELASTICSEARCH, OPENSEARCH)
SECURED_ELASTICSEARCH = replace(
    ELASTICSEARCH,
    plugins=(*ELASTICSEARCH.plugins, "xpack.core.XPackPlugin", "xpack.security.Security"),
    is_secured=True,
)
SECURED_OPENSEARCH = replace(
    OPENSEARCH, plugins=(*PLUGINS, "security.OpenSearchSecurityPlugin"), is_secured=True
)
SECURED_KINDS = (SECURED_ELASTICSEARCH, SECURED_OPENSEARCH)
NETWORK = ("transport.Netty4Plugin",)
OPTIONAL_KINDS = (
    replace(ELASTICSEARCH, version="7.17.28", plugins=NETWORK),
    Kind("elasticsearch", "8.19.0", ("-Des.distribution.type=tar",), (), is_modern=True),
    Kind("elasticsearch", "9.2.0", ("-Des.distribution.type=tar",), (), java=21, is_modern=True),
    replace(OPENSEARCH, version="1.3.20", plugins=NETWORK),
    Kind(
        "opensearch",
        "3.4.0",
        OPENSEARCH.java_options,
        tuple(re.sub("Plugin$", "ModulePlugin", name) for name in PLUGINS),
        java=21,
    ),
)
"""More versions, for which the suite of the output runs if MAILINGEST_TEST_SERVERS is "all"."""

WANTED_KINDS = OPTIONAL_KINDS if os.environ.get("MAILINGEST_TEST_SERVERS") == "all" else ()


def command(name: str) -> str:
    """The path of a program that the servers need."""
    found = shutil.which(name)
    if found is None:
        raise ServerProblem(f"{name} is not installed; as root: {INSTALL}")
    return found


def java_program(kind: Kind, name: str = "java") -> str:
    """The path of ``java`` or ``javac``, of a version that the server takes."""
    if kind.java <= 17:
        return command(name)
    for release in sorted(Path("/usr/lib/jvm").glob("*/release")):
        found = re.search(r'^JAVA_VERSION="(\d+)', release.read_text(), re.MULTILINE)
        if found and int(found[1]) >= kind.java:
            return str(release.parent / "bin" / name)
    raise ServerProblem(f"{kind} needs Java {kind.java} or later: install a JDK below /usr/lib/jvm")


def fetch(kind: Kind) -> Path:
    """The folder with the server's jars, filled by Maven unless a former run has filled it."""
    pom = HERE / f"pom-{kind.release}.xml"
    wanted = pom.read_bytes()
    if kind.is_modern:
        wanted += (HERE / "RootPlugin.java").read_bytes()

    def unpack(jars: Path) -> None:
        for archive in jars.glob("*.zip"):
            _unpack(archive, jars)
        if kind.is_modern:
            _make_modules(kind, jars)

    return fetch_jars(kind.release, pom, wanted, unpack)


def fetch_jars(
    name: str, pom: Path, wanted: bytes, finish: Callable[[Path], None] = lambda _: None
) -> Path:
    """The folder of a name with the jars of a pom; ``finish`` is called when Maven has filled it.

    The copy of what was ``wanted`` beside the jars is written last: it says what they are whole of.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = cache / "mailingest-tests" / name
    jars, done = place / "lib", place / "pom.xml"
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists() and done.read_bytes() == wanted:
            return jars
        shutil.rmtree(jars, ignore_errors=True)
        maven = subprocess.run(
            [
                *(command("mvn"), "-q", "-B", "-f", str(pom)),
                *("dependency:copy-dependencies", f"-DoutputDirectory={jars}"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if maven.returncode != 0:
            raise ServerProblem(f"Maven could not fetch {name}:\n{maven.stdout}")
        finish(jars)
        done.write_bytes(wanted)
    return jars


def make_archive(kind: Kind) -> None:
    """Start a server once, unless that was done, for the next ones to start in half of the time."""
    jars = fetch(kind)
    jar = launcher(java_program(kind), java_program(kind, "javac"), jars.parent)
    archive = archive_of(jar)
    if archive.exists():
        return
    made = archive.with_suffix(f".{os.getpid()}")
    with SearchServer(kind, makes_archive=made) as server:
        server.stop()
    made.replace(archive)


def _make_modules(kind: Kind, jars: Path) -> None:
    """Lay the modules of an Elasticsearch from 8 on out beside its jars."""
    modules = jars.parent / "modules"
    shutil.rmtree(modules, ignore_errors=True)
    network, root = modules / "transport-netty4", modules / "root"
    for module, name in (
        (network, "org.elasticsearch.transport.netty4.Netty4Plugin"),
        (root, "RootPlugin"),
    ):
        module.mkdir(parents=True)
        (module / "plugin-descriptor.properties").write_text(
            f"name={module.name}\ndescription={module.name}\nversion={kind.version}\n"
            f"elasticsearch.version={kind.version}\njava.version=17\nclassname={name}\n"
        )
    for jar in (*jars.glob("transport-netty4-*.jar"), *jars.glob("netty-*.jar")):
        jar.rename(network / jar.name)
    with tempfile.TemporaryDirectory() as classes:
        subprocess.run(
            [
                *(java_program(kind, "javac"), "-cp", f"{jars}/*", "-d", classes),
                str(HERE / "RootPlugin.java"),
            ],
            check=True,
        )
        with zipfile.ZipFile(root / "root.jar", "w") as jar_file:
            for file in Path(classes).iterdir():
                jar_file.write(file, file.name)


def _unpack(archive: Path, jars: Path) -> None:
    """Take the jars of a plugin's archive, but for those that are there in some version."""

    def artifact(path: Path) -> str:
        return re.split(r"-\d", path.stem, maxsplit=1)[0]

    present = {artifact(jar) for jar in jars.glob("*.jar")}
    with zipfile.ZipFile(archive) as content:
        for name in content.namelist():
            if name.endswith(".jar") and artifact(Path(name)) not in present:
                content.extract(name, jars)
    archive.unlink()


class SearchServer(ServerProcess):
    """One single-node server on 127.0.0.1; its data live as long as the context.

    ``settings`` are added to its YAML file.  A secured server has ``certificates`` of its own;
    with ``client_certificate`` it wants one of its clients, too.  A ``large`` one is for
    benchmarks: it takes twice as long to start.  One that ``makes_archive`` leaves its classes
    there when it is stopped.
    ``start`` and ``stop`` may be called in turn: data and ports stay the same.
    """

    def __init__(
        self,
        kind: Kind,
        *,
        large: bool = False,
        settings: Mapping[str, str] | None = None,
        client_certificate: bool = False,
        makes_archive: Path | None = None,
    ) -> None:
        super().__init__(str(kind))
        self.kind = kind
        self._makes_archive = makes_archive
        self.port = free_port()
        self._java_options = LARGE if large else SMALL
        self._settings = {
            "network.host": "127.0.0.1",
            "http.port": str(self.port),
            "transport.port": str(free_port()),
            "discovery.type": "single-node",
            "cluster.routing.allocation.disk.threshold_enabled": "false",
            # The serial collector lets a small heap fill up before it works; counting that as
            # used, the server would refuse requests (429) at random.
            "indices.breaker.total.use_real_memory": "false",
            **(settings or {}),
        }
        config = self.home / "config"
        config.mkdir()
        (config / "log4j2.properties").write_text(LOGGING)
        self._certificates = make_certificates(config) if kind.is_secured else None
        if kind.is_secured:
            secure = secure_elasticsearch if kind.name == "elasticsearch" else secure_opensearch
            self._settings |= secure(
                config, self.certificates, client_certificate=client_certificate
            )
        lines = [f"{name}: {value}\n" for name, value in self._settings.items()]
        (config / f"{kind.name}.yml").write_text("".join(lines))

    @property
    def url(self) -> str:
        return f"{'https' if self.kind.is_secured else 'http'}://127.0.0.1:{self.port}"

    @property
    def certificates(self) -> Certificates:
        if self._certificates is None:
            raise ServerProblem(f"{self.kind} has no certificates")
        return self._certificates

    def begin(self) -> None:
        """Start the server, which will be ready later."""
        java, jars = java_program(self.kind), fetch(self.kind)
        modules = self.home / "modules"
        if self.kind.is_modern:
            if not modules.exists():
                modules.symlink_to(jars.parent / "modules")
            program = ["-cp", f"{jars}/*", str(HERE / "ModernLauncher.java")]
        else:
            jar = launcher(java, java_program(self.kind, "javac"), jars.parent)
            program = [*self._archive_option(jar), "-cp", f"{jar}:{jars}/*", "Launcher"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(java, "-XX:+UseSerialGC", *self._java_options, *self.kind.java_options),
                    *(*program, self.kind.package, str(self.home), *self.kind.plugins),
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.home,
            )

    def _archive_option(self, jar: Path) -> list[str]:
        if self._makes_archive is not None:
            return [f"-XX:ArchiveClassesAtExit={self._makes_archive}"]
        archive = archive_of(jar)
        return [f"-XX:SharedArchiveFile={archive}"] if archive.exists() else []

    def _answers(self) -> bool:
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if self.kind.is_secured:
            made = self.certificates
            context = ssl.create_default_context(cafile=made.authority)
            context.load_cert_chain(made.client, made.client.with_suffix(".key"))
            handlers.append(urllib.request.HTTPSHandler(context=context))
        login = base64.b64encode(f"{ADMIN}:{PASSWORD}".encode()).decode()
        request = urllib.request.Request(
            f"{self.url}/_cluster/health", headers={"authorization": f"Basic {login}"}
        )
        try:
            with urllib.request.build_opener(*handlers).open(
                request, timeout=ASK_AGAIN_SECONDS
            ) as answer:
                return json.load(answer)["status"] in ("green", "yellow")
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        """Close the node in good order, as an operator's restart does."""
        process = self._running()
        super().stop()
        if process.returncode != 0:
            raise self._failure(f"stopped with code {process.returncode}")

    def _ask_to_end(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        process.stdin.close()
