#!/usr/bin/env node
/** The `assay` command: a role of the service in this very process, or one of the commands that talk to a running one. */
const roles = ["gateway", "relay", "dispatcher", "pod", "migrate"];

await (roles.includes(process.argv[2] ?? "") ? import("./main.js") : import("./cli/main.js"));
