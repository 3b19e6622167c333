import "reflect-metadata";
import type { DatabaseAccess } from "../src/embedded/postgres.js";
import { submission, testPlan } from "../test/support/store.js";
import { play } from "./contestant.js";
import { startEmbedded } from "./embedded.js";

// Arguments: the database as JSON, the pod's slots, a folder.
const [accessJson = "{}", slots = "1", folder = "."] = process.argv.slice(2);
const access: DatabaseAccess = JSON.parse(accessJson);
const { submitter, caller } = await startEmbedded({ access, slots, folder, tell: false });

let count = 0;
await play({
  submit: () => {
    count += 1;
    // An experiment of one run, whose work no other has.
    return submitter.submit(submission(caller, testPlan([{ stage: 0, spec: { count } }])));
  },
  left: "select exists (select 1 from run where state in ('QUEUED', 'LEASED', 'RUNNING', 'RETRY_WAIT')) as left",
  login: access.work,
});
