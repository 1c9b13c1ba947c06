"""A user of the platform's REST API through the platform's own SDK: test sets, tests, configurations,
runs and results, against whatever RHESIS_BASE_URL names. Prints what it saw as one JSON object."""

import json
import sys
import time

import requests
from rhesis.sdk.entities import (
    Endpoint,
    Endpoints,
    Projects,
    Prompt,
    Test,
    TestResults,
    TestRuns,
    Tests,
    TestSet,
    TestSets,
)
from rhesis.sdk.entities.test_configuration import TestConfiguration, TestConfigurations
from rhesis.sdk.errors import RhesisAPIError

RUN_LIMIT_S = 60
POLL_S = 0.1


def make_test(text):
    return Test(
        category="Safety",
        topic="Greeting",
        requirement="Polite",
        prompt=Prompt(content=text),
        test_type="Single-Turn",
    )


def gone(entity_class, entity_id):
    """How the SDK tells of what was deleted: the status."""
    try:
        entity_class.pull(id=entity_id)
    except requests.exceptions.HTTPError as error:
        return error.response.status_code
    return None


def finished_run(run_id):
    deadline = time.monotonic() + RUN_LIMIT_S
    while True:
        run = TestRuns.pull(id=run_id) if may_be_read(run_id) else None
        if run and run.status not in (None, "Progress"):
            return run
        if time.monotonic() > deadline:
            raise AssertionError(f"run {run_id} does not end")
        time.sleep(POLL_S)


def may_be_read(run_id):
    """The SDK does not know the status Queued, and refuses to read a run that has it."""
    listed = TestRuns.all(f"id eq '{run_id}' and status/name ne 'Queued'")
    return len(listed) == 1


def main():
    seen = {}
    endpoint = next(e for e in Endpoints.all() if "(answer)" in e.name)
    seen["endpoint"] = endpoint.connection_type
    seen["invoked"] = endpoint.invoke(input="hello")
    seen["projects"] = len(Projects.all())

    tests = TestSet(
        name="Greetings",
        description="for the interop test",
        short_description="interop",
        test_set_type="Single-Turn",
        tests=[make_test("one"), make_test("two"), make_test("fail")],
    )
    tests.push()
    pulled = TestSets.pull(name="greetings")
    seen["pulled_by_name"] = pulled.id == tests.id
    seen["fetched"] = sorted(t.prompt.content for t in pulled.fetch_tests())
    pulled.name = "Salutations"
    pulled.push()
    seen["renamed"] = TestSets.pull(id=tests.id).name

    extra = make_test("three")
    extra.push()
    extra.topic = "Farewell"
    extra.push()
    seen["topic"] = Tests.pull(id=extra.id).topic
    seen["added"] = tests.add_tests([extra])["total_tests"]
    seen["removed"] = tests.remove_tests([extra])["total_tests"]
    seen["filtered"] = len(Tests.all("topic eq 'Farewell'"))
    seen["exists"] = Tests.exists(extra.id)
    seen["deleted"] = extra.delete()
    seen["after_delete"] = gone(Tests, extra.id)

    configuration = TestConfiguration(endpoint_id=endpoint.id, test_set_id=tests.id)
    configuration.push()
    seen["configurations"] = len(TestConfigurations.all())

    submitted = tests.execute(endpoint)
    seen["submitted"] = submitted["status"]
    run = finished_run(submitted["test_run_id"])
    seen["run_status"] = run.status.value
    seen["results"] = sorted(r["status"]["name"] for r in run.get_test_results())
    seen["results_by_collection"] = len(TestResults.all(f"test_run_id eq '{run.id}'"))
    configured = TestConfigurations.pull(id=submitted["test_configuration_id"])
    seen["runs_of_configuration"] = len(configured.get_test_runs())
    seen["run_id"] = run.id

    one = next(t for t in tests.fetch_tests() if t.prompt.content == "one")
    seen["in_place"] = one.execute(endpoint)["status"]
    seen["first"] = Tests.first() is not None
    try:
        Test(category="x", requirement="y").push()
    except RhesisAPIError as error:
        seen["refused"] = error.status_code
    made = Endpoint(
        name="Mine", connection_type="REST", project_id=endpoint.project_id, url="http://x"
    )
    made.push()
    seen["made"] = Endpoints.pull(name="mine").url
    print(json.dumps(seen))


if __name__ == "__main__":
    sys.exit(main())
