// What takes long, while it lasts; and what went wrong.
import type { Job } from "../api/types";
import type { Key } from "../i18n";
import { useApp, useNow } from "../ui/context";

const NAMES: Record<string, Key> = { start: "job.start", exercise: "job.exercise", reset: "job.reset", node: "job.node" };

export function JobLine({ job }: { job: Job | null }) {
  const app = useApp();
  const now = useNow();
  if (!job) return null;
  if (job.error !== "") return <p class="job failed" role="alert">{app.t("job.failed", { error: job.error })}</p>;
  const seconds = Math.max(0, Math.round((now - Date.parse(job.started)) / 1000));
  return (
    <div class="job">
      <p class="job-what" role="status">{app.t(NAMES[job.what] ?? "job.other")}</p>
      <span class="job-time">{Number.isNaN(seconds) ? "" : app.t("job.seconds", { seconds })}</span>
      <span class="job-bar" aria-hidden="true"><span /></span>
      <p class="job-line">{job.before > 0 ? app.words.counted("job.before", job.before) : job.line}</p>
    </div>
  );
}
