// The page of webui: no library, no external resource.
#pragma once

namespace coins {

inline constexpr char kPage[] = R"HTML(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>DockerCoin Miner WebUI</title>
<style>
  :root { color-scheme: light dark; --ink: #1d2b3a; --paper: #fafbfc; --line: #1f6feb; --grid: #d0d7de; }
  @media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --line: #58a6ff; --grid: #30363d; } }
  body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
  h1 { font-size: 1.6rem; margin: 0 0 .25rem; }
  #speed { font-variant-numeric: tabular-nums; font-weight: 600; }
  svg { width: 100%; height: auto; display: block; }
  .grid { stroke: var(--grid); } .trace { fill: none; stroke: var(--line); stroke-width: 2; }
  text { fill: var(--ink); font-size: 12px; }
  #trouble { color: #cf222e; min-height: 1.5em; }
</style>
</head>
<body>
<h1>DockerCoin Miner WebUI</h1>
<p>Current mining speed: ~<span id="speed" aria-live="polite">-</span> hashes/second
   (<span id="hashes">-</span> hashes so far, <span id="coins">-</span> coins found)</p>
<svg id="graph" viewBox="0 0 800 300" role="img" aria-label="Mining speed over the last two minutes"></svg>
<p id="trouble" role="status"></p>
<script>
const samples = [], KEEP = 120, SMOOTH = 5;
const show = (id, text) => { document.getElementById(id).textContent = text; };
function draw() {
  const speeds = samples.map(s => s.speed), top = Math.max(5, Math.ceil(Math.max(...speeds, 0) / 5) * 5);
  const x = i => 50 + i * 740 / (KEEP - 1), y = v => 280 - v * 260 / top;
  let out = '';
  for (let v = 0; v <= top; v += top / 5)
    out += `<line class="grid" x1="50" x2="790" y1="${y(v)}" y2="${y(v)}"/><text x="5" y="${y(v) + 4}">${v.toFixed(0)}</text>`;
  out += `<polyline class="trace" points="${speeds.map((v, i) => x(i) + ',' + y(v)).join(' ')}"/>`;
  document.getElementById('graph').innerHTML = out;
}
async function poll() {
  try {
    const answer = await fetch('json', {cache: 'no-store'});
    if (!answer.ok) throw new Error(await answer.text());
    const now = await answer.json(), hashes = Number(now.hashes || 0);
    const before = samples.length ? samples[Math.max(0, samples.length - SMOOTH)] : null;
    const speed = before && now.now > before.now ? Math.max(0, (hashes - before.hashes) / (now.now - before.now)) : 0;
    samples.push({now: now.now, hashes, speed});
    if (samples.length > KEEP) samples.shift();
    show('speed', speed.toFixed(1)); show('hashes', hashes); show('coins', now.coins); show('trouble', '');
    draw();
  } catch (e) { show('trouble', 'No numbers: ' + e.message); }
  setTimeout(poll, 1000);
}
poll();
</script>
</body>
</html>
)HTML";

}  // namespace coins
