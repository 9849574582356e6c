// Unpacks the Chromium of the npm package into the folder that TMPDIR names: the program, the libraries that a minimal
// Linux lacks, and a font. The package itself would unpack into /tmp, and the libraries only on AWS Lambda.
import { fileURLToPath } from "node:url";
import { inflate } from "@sparticuz/chromium";

const archives = new URL("../bin/", import.meta.resolve("@sparticuz/chromium"));
for (const name of ["chromium.br", "al2023.tar.br", "fonts.tar.br"]) {
  await inflate(fileURLToPath(new URL(name, archives)));
}
