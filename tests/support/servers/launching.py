"""What the test servers are started with: the launcher, compiled, and an archive of Java's classes.

Java takes half of its time to start for reading and checking classes.  Those of a server that was
started once can be in an archive (`java -XX:SharedArchiveFile`), which takes that half off.
"""

import hashlib
import subprocess
import tempfile
import zipfile
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_name("Launcher.java")


def launcher(java: str, javac: str, place: Path) -> Path:
    """The jar of the launcher below a directory, made if it is not there for this Java.

    It is a jar since no archive can have classes of a directory.
    """
    program = Path(java).resolve()
    made_of = f"{program} {program.stat().st_mtime_ns}".encode() + SOURCE.read_bytes()
    jar = place / f"launcher-{hashlib.sha256(made_of).hexdigest()[:16]}.jar"
    if jar.exists():
        return jar
    with tempfile.TemporaryDirectory(dir=place) as directory:
        subprocess.run([javac, "-d", directory, str(SOURCE)], check=True)
        made = Path(directory) / "launcher.jar"
        with zipfile.ZipFile(made, "w") as content:
            for file in Path(directory).glob("*.class"):
                content.write(file, file.name)
        made.replace(jar)
    return jar


def archive_of(jar: Path) -> Path:
    """Where the archive is of the classes that the server of a launcher needs."""
    return jar.with_suffix(".jsa")
