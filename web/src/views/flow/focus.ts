/**
 * Whoever goes a level deeper with the keys goes on from there: the new level takes the focus from what was used in this
 * view, or is gone. What has it elsewhere on the page, or was put there with a pointer, is left alone.
 */
export function takeFocus(element: HTMLElement, byKeys: boolean): void {
  const { activeElement, body } = element.ownerDocument;
  const view = element.closest(".flow");
  if (byKeys && (!activeElement || activeElement === body || view?.contains(activeElement))) element.focus({ preventScroll: true });
}
