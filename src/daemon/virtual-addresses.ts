/** The addresses that keepalived moves (`keepalived.virtual_addresses`), and how many of them are here. */
import type { OwnAddress } from "../kernel/addresses.ts";

export type VirtualAddress = OwnAddress;

export function heldOf(virtual: readonly VirtualAddress[], own: readonly OwnAddress[]): number {
  const keys = new Set(own.map(keyOf));
  return virtual.filter((address) => keys.has(keyOf(address))).length;
}

const keyOf = ({ family, words }: OwnAddress): string => `${family} ${words.join(" ")}`;
