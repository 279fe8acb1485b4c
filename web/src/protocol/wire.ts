/** Documents with arrays and pictures beside them: the twin of `opsin.reporting.views.wire`. */

const KINDS = { uint8: Uint8Array, int32: Int32Array, float32: Float32Array } as const;

export type Dtype = keyof typeof KINDS;
export type Values = Uint8Array | Int32Array | Float32Array;

/** An array in row-major order. */
export interface NdArray<V extends Values = Values> {
  dtype: Dtype;
  shape: number[];
  data: V;
}

/** An encoded picture, as a file of this type would hold it. */
export interface Picture {
  type: string;
  bytes: Uint8Array;
}

export type Value = null | boolean | number | string | NdArray | Picture | Value[] | { [key: string]: Value };
export type Answer = { [key: string]: Value };

export interface Packed {
  document: unknown;
  buffers: Uint8Array[];
}

export function array<V extends Values>(data: V, shape: number[] = [data.length]): NdArray<V> {
  const dtype = data instanceof Uint8Array ? "uint8" : data instanceof Int32Array ? "int32" : "float32";
  return { dtype, shape, data };
}

export function isArray(value: unknown): value is NdArray {
  return typeof value === "object" && value !== null && "dtype" in value && "data" in value;
}

export function isPicture(value: unknown): value is Picture {
  return typeof value === "object" && value !== null && "bytes" in value && "type" in value;
}

/** Take arrays and pictures out of a value. */
export function pack(value: unknown): Packed {
  const buffers: Uint8Array[] = [];
  const keep = (data: Values): number => {
    buffers.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return buffers.length - 1;
  };
  const lower = (item: unknown): unknown => {
    if (isArray(item)) return { $array: keep(item.data), dtype: item.dtype, shape: item.shape };
    if (isPicture(item)) return { $picture: keep(item.bytes), type: item.type };
    if (Array.isArray(item)) return item.map(lower);
    if (typeof item === "object" && item !== null) {
      return Object.fromEntries(Object.entries(item).filter(([, v]) => v !== undefined).map(([k, v]) => [k, lower(v)]));
    }
    return item;
  };
  return { document: lower(value), buffers };
}

/** Put arrays and pictures back into a document. */
export function unpack(document: unknown, buffers: ArrayLike<ArrayBufferView>): Value {
  const lift = (item: unknown): Value => {
    if (Array.isArray(item)) return item.map(lift);
    if (typeof item !== "object" || item === null) return item as Value;
    const entry = item as Record<string, unknown>;
    if (typeof entry.$array === "number") {
      const dtype = entry.dtype as Dtype;
      return { dtype, shape: entry.shape as number[], data: typed(dtype, buffer(buffers, entry.$array)) };
    }
    if (typeof entry.$picture === "number") {
      return { type: String(entry.type), bytes: typed("uint8", buffer(buffers, entry.$picture)) as Uint8Array };
    }
    return Object.fromEntries(Object.entries(entry).map(([key, value]) => [key, lift(value)]));
  };
  return lift(document);
}

function buffer(buffers: ArrayLike<ArrayBufferView>, index: number): ArrayBufferView {
  const found = buffers[index];
  if (!found) throw new Error(`the document names buffer ${index} of ${buffers.length}`);
  return found;
}

function typed(dtype: Dtype, view: ArrayBufferView): Values {
  const Kind = KINDS[dtype];
  const length = view.byteLength / Kind.BYTES_PER_ELEMENT;
  if (view.byteOffset % Kind.BYTES_PER_ELEMENT === 0) return new Kind(view.buffer as ArrayBuffer, view.byteOffset, length);
  // a notebook hands buffers at any offset: numbers have to begin at a multiple of their size
  return new Kind((view.buffer as ArrayBuffer).slice(view.byteOffset, view.byteOffset + view.byteLength));
}

/** One text per meaning: keys sorted, so that a question can be found again. Arrays do not occur in stored questions. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(",")}}`;
  }
  return JSON.stringify(value ?? null);
}
