// The pictures of the documentation: only where LAB_PICTURES names a directory.
import { mkdirSync } from "node:fs";
import { join } from "node:path";

export async function picture(person, name) {
  const directory = process.env.LAB_PICTURES;
  if (!directory) return;
  mkdirSync(directory, { recursive: true });
  await person.page.waitForTimeout(700); // colours that change slowly have changed, meters have moved
  await person.page.screenshot({ path: join(directory, `${name}.png`) });
}
