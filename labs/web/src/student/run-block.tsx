// A command of the exercise: shown, copied, or typed into a terminal of its node.
import { useState } from "preact/hooks";

import type { RunBlock } from "../text/markdown";
import { Button } from "../ui/controls";
import { useApp } from "../ui/context";
import { CheckIcon, CopyIcon, PlayIcon } from "../ui/icons";
import { copyText } from "../workspace/terminal";

export function RunBlockView({ block }: { block: RunBlock }) {
  const app = useApp();
  const [ran, setRan] = useState(false);
  return (
    <div class="run" role="group" aria-label={app.t("run.block", { node: block.node })}>
      <pre tabIndex={0}><code>{block.command}</code></pre>
      <div class="run-bar">
        <Button look="bare" class="run-button" onClick={(e) => {
          setRan(true);
          // A click by hand goes on in the terminal; one by the keyboard stays in the text.
          void app.run(block.node, block.command, e.detail > 0);
        }}>
          <PlayIcon />{app.t("run.in", { node: block.node })}
        </Button>
        {ran && <span class="run-done" aria-hidden="true"><CheckIcon /></span>}
        <Button look="bare" label={app.t("run.copy")} onClick={() => void copyText(block.command).then(() => app.notice("good", app.t("terminal.copied")))}>
          <CopyIcon />
        </Button>
      </div>
    </div>
  );
}
