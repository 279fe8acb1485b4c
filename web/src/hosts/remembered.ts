/** What a browser remembers of a person's settings, where it allows that: a file from a disk may have no storage. */

const NAME = "opsin-";

export function remembered(key: string): string | null {
  try {
    return localStorage.getItem(NAME + key);
  } catch {
    return null;
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(NAME + key, value);
  } catch {
    // then it holds for this page only
  }
}
