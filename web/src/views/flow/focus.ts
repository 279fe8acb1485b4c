/** Whoever goes a level deeper with the keyboard loses what had the focus: the new level takes it, and nobody else's. */
export function takeFocus(element: HTMLElement): void {
  const { activeElement, body } = element.ownerDocument;
  if (activeElement === null || activeElement === body) element.focus({ preventScroll: true });
}
