"use strict";
(() => {
  const { run, former, rows, settings } = JSON.parse(document.getElementById("data").textContent);
  const COLOURS = ["#3f7fd0", "#2f9e6e", "#d9822b", "#c23b4e", "#7d5bbe", "#4aa3a2", "#8a8f98"];
  const by = (id) => document.getElementById(id);
  const make = (tag, text, parent) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  };
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const ink = dark ? "#9aa3ad" : "#68707a";
  const grid = dark ? "#2a2f36" : "#e3e6ea";
  const ms = (list, key) => list.map((second) => second.latency[key] / 1000);
  const digits = (value) => value == null ? "" : value >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3);

  function plot(id, x, series, { log = false, xLabel = (v) => v + " s", xLog = false } = {}) {
    const place = by(id);
    const lines = series.filter((one) => one.values.some((value) => value != null));
    if (!x.length || !lines.length) { make("p", "nothing was measured", place); return; }
    const axis = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 } };
    const options = {
      width: place.clientWidth, height: 260,
      scales: { x: xLog ? { time: false, distr: 3 } : { time: false }, y: log ? { distr: 3 } : { range: (u, low, high) => [0, high * 1.05 || 1] } },
      axes: [
        { ...axis, values: (u, ticks) => ticks.map((tick) => tick == null ? "" : xLabel(tick)) },
        { ...axis, size: 58, values: (u, ticks) => ticks.map((tick) => tick == null ? "" : digits(tick)) },
      ],
      series: [
        { label: xLog ? "percentile" : "second", value: (u, v) => v == null ? "" : xLabel(v) },
        ...lines.map((one, at) => ({
          label: one.label, stroke: one.colour || COLOURS[at % COLOURS.length], width: one.old ? 1 : 2, dash: one.old ? [5, 4] : undefined,
          points: { show: x.length < 3 }, spanGaps: true, value: (u, v) => digits(v),
        })),
      ],
    };
    const chart = new uPlot(options, [x, ...lines.map((one) => one.values.map((v) => log && v <= 0 ? null : v))], place);
    new ResizeObserver(() => { if (place.clientWidth) chart.setSize({ width: place.clientWidth, height: 260 }); }).observe(place);
  }

  /* Two runs on one time: seconds of either, the other's values beside them. */
  const seconds = (of) => (of?.series || []).filter((second, at, all) => second.at - (at ? all[at - 1].at : 0) > 0.5);
  const now = seconds(run), then = seconds(former);
  const length = Math.max(now.length, then.length);
  const time = Array.from({ length }, (_, at) => Math.round((now[at] || then[at]).at));
  const rate = (list, key) => list.map((second, at) => second[key] / (second.at - (at ? list[at - 1].at : 0)));
  const padded = (values) => Array.from({ length }, (_, at) => values[at] ?? null);
  const both = (label, of, colour) => [
    { label, values: padded(of(now)), colour },
    ...(then.length ? [{ label: label + ", old", values: padded(of(then)), colour, old: true }] : []),
  ];
  plot("throughput", time, [
    ...both("answered", (list) => rate(list, "answered"), COLOURS[0]),
    { label: "approved", values: padded(rate(now, "approved")), colour: COLOURS[1] },
    { label: "declined", values: padded(rate(now, "declined")), colour: COLOURS[3] },
  ]);
  plot("latency", time, [["p50", 0], ["p90", 1], ["p99", 2], ["p999", 3]].flatMap(
    ([key, colour]) => both(key === "p999" ? "p99.9" : key, (list) => ms(list, key), COLOURS[colour])), { log: true });

  /* 1 in so many requests takes longer: 2, 10, 100, ... so that each nine has its room. */
  const rarity = (point) => 1 / (1 - point.percentile / 100);
  const points = run.points.filter((point) => point.percentile >= 50);
  const old = new Map((former?.points || []).map((point) => [point.percentile.toFixed(6), point.latency / 1000]));
  plot("distribution", points.map(rarity), [
    { label: "latency", values: points.map((point) => point.latency / 1000), colour: COLOURS[0] },
    ...(old.size ? [{ label: "old", values: points.map((point) => old.get(point.percentile.toFixed(6)) ?? null), colour: COLOURS[0], old: true }] : []),
  ], { xLog: true, log: true, xLabel: (v) => (100 - 100 / v).toFixed(v >= 5000 ? 3 : v >= 500 ? 2 : v >= 50 ? 1 : 0) + "%" });

  const watched = Object.entries(run.watched || {});
  const instants = (watched[0]?.[1].samples || []).map((sample) => Math.round(sample.at));
  plot("cpu", instants.slice(1), watched.map(([label, { samples }]) => ({
    label, values: samples.slice(1).map((sample, at) => 100 * (sample.cpu - samples[at].cpu) / (sample.at - samples[at].at)),
  })));
  plot("memory", instants, watched.map(([label, { samples }]) => ({ label, values: samples.map((sample) => sample.memory / 1e6) })));

  by("what").textContent = `${run.dialect} to ${run.target}, ${run.pace}, ${run.connections} connections, ${run.terminals} terminals`;
  if (!run.valid) {
    by("invalid").hidden = false;
    by("invalid").textContent = "INVALID: " + run.invalid_reasons.join("\n");
  }
  for (const [value, label] of [
    [Math.round(run.rate).toLocaleString("en"), "answers a second"], [digits(run.latency.p50 / 1000) + " ms", "p50"],
    [digits(run.latency.p99 / 1000) + " ms", "p99"], [digits(run.latency.p999 / 1000) + " ms", "p99.9"],
    [run.approved.toLocaleString("en"), "approved"], [Object.values(run.errors).reduce((sum, n) => sum + n, 0).toLocaleString("en"), "errors"],
  ]) {
    const tile = make("div", undefined, by("tiles"));
    make("b", value, tile);
    make("span", label, tile);
  }
  const table = (id, head, body) => {
    const header = make("tr", undefined, by(id));
    for (const cell of head) make("th", cell, header);
    for (const { cells, differs } of body) {
      const row = make("tr", undefined, by(id));
      if (differs) row.className = "differs";
      for (const cell of cells) make("td", cell, row);
    }
  };
  const columns = former ? ["", "this run", "old", "ratio"] : ["", "this run"];
  table("figures", columns, rows.map((cells) => ({ cells })));
  table("settings", former ? ["", "this run", "old"] : ["", "this run"], settings.map(([name, value, before]) => ({
    cells: former ? [name, value, before ?? ""] : [name, value], differs: former && before != null && before !== value,
  })));
  const total = Object.values(run.codes).reduce((sum, count) => sum + count, 0) || 1;
  for (const [code, count] of Object.entries(run.codes)) {
    const row = make("tr", undefined, by("codes"));
    make("td", code, row);
    const bar = make("span", undefined, make("td", undefined, row));
    bar.className = "bar";
    bar.style.width = Math.max(1, 100 * count / total) + "%";
    make("td", `${count.toLocaleString("en")} (${(100 * count / total).toFixed(2)} %)`, row);
  }
})();
