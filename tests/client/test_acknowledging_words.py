"""Both languages acknowledge by the same words, and their pages name everything that can be set."""

import inspect
import json
import re
from pathlib import Path

import pytest
from kit.node_tools import PACKAGE, run_node

from tidegate.contract import names
from tidegate.contract.acknowledge import MAX_HELD_PER_STREAM, acknowledgement_json
from tidegate_client import AcknowledgingSseClient
from tidegate_client.ack_pacer import ACKNOWLEDGE_EVERY_MS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "acknowledging.md"


@pytest.mark.usefixtures("built")
def test_the_words_and_the_body_are_the_same() -> None:
    script = """
      import {AcknowledgingSseClient, PATH_ACKNOWLEDGE, QUERY_STREAM} from './dist/acknowledge.js'
      import {ACKNOWLEDGE_EVERY_MS} from './dist/ack-pacer.js'
      const bodies = []
      const fetch = (url, {body}) => (bodies.push([url, body]), Promise.reject())
      const client = new AcknowledgingSseClient('http://p/sse/subscribe/42?stream=s', {fetch})
      client.acknowledge('e-"1')
      await client.flush()
      console.log(JSON.stringify([PATH_ACKNOWLEDGE, QUERY_STREAM, ACKNOWLEDGE_EVERY_MS, bodies]))
    """
    done = run_node("--input-type=module", "--eval", script)
    assert done.returncode == 0, done.stderr
    suffix, query, every_ms, bodies = json.loads(done.stdout)
    assert names.PATH_SUBSCRIBE + suffix == names.PATH_ACKNOWLEDGE
    assert query == names.QUERY_STREAM
    assert every_ms == ACKNOWLEDGE_EVERY_MS
    url = "http://p/sse/subscribe/42/ack?stream=s"
    assert bodies == [[url, acknowledgement_json('e-"1')]]
    mine = AcknowledgingSseClient("http://p/sse/subscribe/42?stream=s")
    assert str(mine.acknowledge_url) == url


def test_the_page_says_what_can_be_set_and_what_is_answered() -> None:
    page = PAGE.read_text()
    readme = (PACKAGE / "README.md").read_text()
    source = (PACKAGE / "src" / "acknowledge.ts").read_text()
    options = re.findall(r"^  readonly (\w+)\?:", source, re.MULTILINE)
    assert len(options) == 3
    assert not [word for word in options if f"`{word}`" not in readme]
    of_python = {*inspect.signature(AcknowledgingSseClient.__init__).parameters}
    python_readme = (ROOT / "clients" / "python" / "README.md").read_text()
    own = of_python - {"self", "url", "options"}
    assert not [word for word in sorted(own) if f"`{word}`" not in python_readme]
    for word in ("`acknowledge_every_ms`", f"more than {MAX_HELD_PER_STREAM} ack", "1,024 bytes"):
        assert word in page
