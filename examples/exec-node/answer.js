#!/usr/bin/env node
// An endpoint in JavaScript: inputs as JSON on stdin, the result as JSON on stdout.
//
//     marline-agent run --exec 'answer=node examples/exec-node/answer.js'

const inputs = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.error("asked by test", process.env.RHESIS_TEST_ID ?? "(none)");
console.log(JSON.stringify({ output: String(inputs.input ?? "").toUpperCase() }));
