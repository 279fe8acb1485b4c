/** The theme that a notebook says it has: JupyterLab and VS Code write it down at the page's body. */

import type { Theme } from "../../protocol/context.svelte.ts";

export function themeOfPage(body: HTMLElement): Theme | null {
  const { jpThemeLight, vscodeThemeKind } = body.dataset;
  if (jpThemeLight !== undefined) return jpThemeLight === "false" ? "dark" : "light";
  if (vscodeThemeKind === undefined) return null;
  return /dark|high-contrast$/.test(vscodeThemeKind) ? "dark" : "light";
}
