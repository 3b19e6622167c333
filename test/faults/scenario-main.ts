import { faultsOf, type ScenarioName, scenarios } from "./scenarios.js";

// scenario-main.js NAME: plays a scenario and says on a line each what is broken or was not seen; ends with 1 where anything is.

const name = process.argv[2] ?? "";
if (!isScenario(name)) throw new RangeError(`wanted one of ${Object.keys(scenarios).join(", ")}, but got ${name}`);
const faults = await faultsOf(name);
for (const fault of faults) process.stdout.write(`${fault}\n`);
process.exitCode = faults.length === 0 ? 0 : 1;

function isScenario(text: string): text is ScenarioName {
  return Object.hasOwn(scenarios, text);
}
