// Reads schemas/asyncapi.yaml with the real AsyncAPI parser, and checks that every message's
// payload resolved to its schema. Exit code 1 with the parser's words when anything is wrong.
//
//   npm ci && npm run check
import { fileURLToPath } from "node:url";
import { Parser, fromFile } from "@asyncapi/parser";

const path = fileURLToPath(new URL("../../schemas/asyncapi.yaml", import.meta.url));
const { document, diagnostics } = await fromFile(new Parser(), path).parse();

const SEVERITIES = ["error", "warning", "information", "hint"];
const faults = diagnostics.filter((found) => found.severity <= SEVERITIES.indexOf("warning"));
for (const { severity, code, path: at, message } of faults) {
  console.error(`${SEVERITIES[severity]} ${code} at /${at.join("/")}: ${message}`);
}
if (!document) {
  process.exit(1);
}

const unresolved = document
  .allMessages()
  .all()
  .filter((message) => message.name().endsWith(".v1"))
  .filter((message) => message.payload()?.json()?.$id !== `urn:holdback:schema:${message.name()}`);
for (const message of unresolved) {
  console.error(`error: the payload of ${message.name()} is not its schema`);
}

const messages = document.allMessages().all().length;
console.log(`asyncapi ${document.version()}: ${document.allChannels().all().length} channels, ` +
  `${document.allOperations().all().length} operations, ${messages} messages`);
process.exit(faults.length + unresolved.length === 0 ? 0 : 1);
