/** The last value that there was: what is shown stays until the next is there. Call it while a component is set up. */

export function lasting<V>(read: () => V | null | undefined): { readonly now: V | null } {
  let last = $state.raw<V | null>(null);
  $effect.pre(() => {
    const value = read();
    if (value != null) last = value;
  });
  return {
    get now() {
      return read() ?? last;
    },
  };
}
