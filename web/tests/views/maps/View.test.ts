import { flushSync } from "svelte";
import { afterEach, expect, test } from "vitest";
import { array } from "../../../src/protocol/wire.ts";
import View from "../../../src/views/maps/View.svelte";
import { browserParts, type Host, hosted } from "../../parts/host.ts";
import { probe, snapshot } from "../../parts/recorded.ts";
import { floats, integers, lines } from "../../parts/timeline/lines.ts";

browserParts();
let host: Host;
afterEach(() => host.close());

const network = { model_missing: null, first: "probe/0", name: "net" };
const layer = { values: array(new Uint8Array(2 * 4), [2, 2, 2]), low: floats(-3, 0), high: floats(1, 1), size: [200, 200] };
const graph = { nodes: [{ name: "input", operation: "input", shape: [3, 8, 8] }, { name: "conv", operation: "conv2d", shape: [2, 200, 200] }, { name: "relu", operation: "relu", shape: [2, 200, 200] }] };
const thumbnails = { ids: ["probe/0"], names: ["a <b>photo</b>"], labels: integers(0), sizes: { ...integers(1, 1), shape: [1, 2] }, grey: true, pixels: array(new Uint8Array(1)) };
const maps = { layers: { conv: layer, relu: layer } };

test("without a step the network is asked as it is now, for the first convolution", async () => {
  host = await hosted(View, { subject: network, steps: lines(0, 9), graph, maps, thumbnails });
  expect(host.model.sent.find((sent) => sent.question === "maps")!.args).toEqual({ image: "probe/0", layers: ["conv"], side: 112 });
  expect(host.place.textContent).toContain("The network as it is now.");
  expect(host.place.textContent).toContain("2 maps of 200 x 200");
  expect(host.place.textContent).toMatch(/−3.*3 this layer/s);
  expect(host.place.textContent).toContain("every 2 x 2 values are averaged");
  expect(host.place.querySelector("b")).toBeNull(); // names are texts
});

test("the scale of all layers takes all layers", async () => {
  host = await hosted(View, { subject: network, steps: lines(0, 9), graph, maps, thumbnails }, { selection: { scope: "global" } });
  expect(host.model.sent.find((sent) => sent.question === "maps")!.args).toMatchObject({ layers: "all" });
});

test("at a step the snapshot is looked at", async () => {
  host = await hosted(View, { subject: network, steps: lines(0, 9), probe, snapshot, thumbnails }, { selection: { step: 30, layer: "conv" } });
  expect(host.place.textContent).toContain("The network as it was at step 30.");
  expect(host.place.textContent).toContain("2 of 6 channels are kept");
  host.place.querySelector("[role=slider]")!.dispatchEvent(new KeyboardEvent("keydown", { key: "End", bubbles: true }));
  expect(host.context.selection.now).toMatchObject({ layer: "conv", unit: [5, 1, 1] });
});

test("a picture that was not watched leads to one that was", async () => {
  host = await hosted(View, { subject: network, steps: lines(0, 9), probe, snapshot, thumbnails }, { selection: { step: 30, image: "test/3" } });
  expect(host.place.textContent).toContain("Step 30 was recorded for the watched images only");
  const [button] = [...host.place.querySelectorAll("button")].filter((found) => found.textContent!.includes("watched image"));
  button!.click();
  flushSync();
  expect(host.context.selection.now.image).toBe("probe/0");
});

test("without a network the last snapshot is shown; a layer that is not there is named", async () => {
  const answers = { subject: { ...network, model_missing: "its class is not known" }, steps: lines(0, 9), probe, snapshot, thumbnails };
  host = await hosted(View, answers);
  expect(host.place.textContent).toContain("at step 60");
  host.close();
  host = await hosted(View, answers, { selection: { layer: "<i>none</i>" } });
  expect(host.place.textContent).toContain("no maps of <i>none</i>");
  host.close();
  host = await hosted(View, { ...answers, steps: lines(0, 2, { snapshots: integers() }) });
  expect(host.place.textContent).toContain("neither a snapshot nor a network to ask: its class is not known");
});
