"""Drives the PyPI client: reads calls from standard input, one JSON object a line, and answers each with one line.

The client finds its server as in an application, by QSTASH_URL and QSTASH_TOKEN.
"""

import json
import os
import sys

from qstash import QStash

client = QStash(os.environ["QSTASH_TOKEN"])


def publish(url, label):
    published = client.message.publish_json(
        url=url, label=label, body={"hello": "world"}, headers={"X-Own": "kept"}
    )
    return published.message_id


def cancel_label(label, count):
    # The client knows no filters; an application uses its own request.
    answer = client.http.request(
        path="/v2/messages",
        method="DELETE",
        params={"label": label, "count": str(count)},
    )
    return answer["cancelled"]


CALLS = {
    "publish": publish,
    "cancel_ids": lambda ids: client.message.cancel_many(ids),
    "cancel_label": cancel_label,
    "cancel_all": lambda: client.message.cancel_all(),
    "cancel_one": lambda id: client.message.cancel(id),
}

for line in sys.stdin:
    call = json.loads(line)
    try:
        answer = {"value": CALLS[call.pop("call")](**call)}
    except Exception as error:
        name = type(error).__name__
        answer = {
            "error": {
                "class": name,
                "name": name,
                "message": str(error),
                "limit": getattr(error, "limit", None),
            }
        }
    print(json.dumps(answer), flush=True)
