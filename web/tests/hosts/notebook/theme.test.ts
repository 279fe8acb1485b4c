import { expect, test } from "vitest";
import { themeOfPage } from "../../../src/hosts/notebook/theme.ts";

const body = (data: Record<string, string>): HTMLElement => {
  const found = document.createElement("body");
  Object.assign(found.dataset, data);
  return found;
};

test.each([
  [{ jpThemeLight: "false" }, "dark"],
  [{ jpThemeLight: "true" }, "light"],
  [{ vscodeThemeKind: "vscode-dark" }, "dark"],
  [{ vscodeThemeKind: "vscode-high-contrast" }, "dark"],
  [{ vscodeThemeKind: "vscode-high-contrast-light" }, "light"],
  [{ vscodeThemeKind: "vscode-light" }, "light"],
  [{}, null],
])("a notebook's theme: %o", (data, theme) => expect(themeOfPage(body(data as Record<string, string>))).toBe(theme));
