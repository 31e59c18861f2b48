/** The vectors that both clients and the server's encoder and decoder run. */
import {readFileSync} from 'node:fs'

const VECTORS = new URL('../../../tests/vectors/', import.meta.url)

export function readVectors<T>(path: string): T {
  return JSON.parse(readFileSync(new URL(path, VECTORS), 'utf8')) as T
}

/** `snake_case` keys, as in the vectors, to the client's `camelCase`; null stands for infinity. */
export function toSettings(settings: Record<string, number | boolean | string | null>): object {
  const camel = (key: string) => key.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase())
  return Object.fromEntries(
    Object.entries(settings).map(([key, value]) => [camel(key), value ?? Infinity])
  )
}
