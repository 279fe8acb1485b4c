/**
 * Whoever goes a level deeper with the keyboard loses what had the focus: the new level takes it, so that Tab goes on
 * from there. A pointer's focus is left alone.
 */
export function takeFocus(byKeys: boolean): (element: HTMLElement) => void {
  return (element) => {
    const { activeElement, body } = element.ownerDocument;
    if (byKeys && (activeElement === null || activeElement === body)) element.focus({ preventScroll: true });
  };
}
