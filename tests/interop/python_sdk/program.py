"""A program as a user of the platform writes one, on the unmodified SDK: endpoints that are sync,
async, slow, failing, streaming, silent and wide; observed functions; a metric; and a call outside
any test."""

import asyncio
import logging
import os
import threading
import time

from rhesis.sdk import RhesisClient, endpoint, observe
from rhesis.sdk.decorators import metric

logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")

client = RhesisClient(
    api_key=os.environ["RHESIS_API_KEY"],
    base_url=os.environ["RHESIS_BASE_URL"],
    project_id=os.environ["RHESIS_PROJECT_ID"],
    environment="development",
)

REQUEST = {"input": "{{ input }}"}
RESPONSE = {"output": "$.output"}
first_call = threading.Event()


@observe()
def lookup(word: str) -> str:
    return word.upper()


@observe.llm(provider="demo", model="gpt-4o")
def complete(prompt: str) -> str:
    return f"reply:{prompt}"


@endpoint(
    description="upper-cases the question", request_mapping=REQUEST, response_mapping=RESPONSE
)
def answer(input: str, conversation_id: str = None, delay_s: float = 0.0) -> dict:
    first_call.set()
    if input == "fail":
        raise RuntimeError("asked to fail")
    word = lookup(input)
    time.sleep(float(delay_s))
    return {"output": complete(word), "conversation_id": conversation_id}


@endpoint(request_mapping=REQUEST, response_mapping=RESPONSE)
async def ask(input: str) -> dict:
    words = await asyncio.gather(*(asyncio.to_thread(lookup, f"{input}-{i}") for i in range(3)))
    return {"output": " ".join(words)}


@endpoint(request_mapping=REQUEST, response_mapping=RESPONSE)
def stream(input: str):
    for part in (input, " é", " \u2713"):
        yield part


@endpoint(request_mapping=REQUEST, response_mapping=RESPONSE)
def nothing(input: str) -> None:
    return None


@endpoint(request_mapping=REQUEST, response_mapping=RESPONSE)
def wide(input: str, count: int) -> dict:
    return {"output": sum(len(lookup(input)) for _ in range(count))}


@metric(score_type="numeric", description="shorter is better")
def brevity(input: str, output: str) -> dict:
    return {"score": 1.0 / (1 + len(output)), "details": {"length": len(output)}}


def stray():
    first_call.wait()
    lookup("stray")


threading.Thread(target=stray, daemon=True).start()
client.connect()
