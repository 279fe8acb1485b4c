/** Finding a class by a part of its name. */

/** Indexes of the classes whose name holds the text; those that begin with it come first, then those with a word that does. */
export function matching(classes: readonly string[], text: string, most = 50): number[] {
  const wanted = text.trim().toLowerCase();
  const found: [number, number][] = [];
  classes.forEach((name, index) => {
    const at = name.toLowerCase().indexOf(wanted);
    if (at < 0) return;
    const starts = at > 0 && /[^\p{L}\p{N}]/u.test(name[at - 1] ?? "");
    found.push([at === 0 ? 0 : starts ? 1 : 2, index]);
  });
  found.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  return found.slice(0, most).map(([, index]) => index);
}
