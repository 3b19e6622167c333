// Prints the interpreter of an environment with what examples/events-python needs, after making that environment if need be.
import { exampleEnvironment } from "./python.mjs";
import { SetupError, withLock } from "./toolbox.mjs";

try {
  process.stdout.write(`${await withLock(exampleEnvironment)}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof SetupError ? error.message : error.stack}\n`);
  process.exit(error instanceof SetupError ? 69 : 70);
}
