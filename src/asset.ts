/** The bytes of a file that was imported with `type: 'file'`. The binary contains most of them compressed. */
export const assetBytes = async (path: string) => decompress(await Bun.file(path).bytes())

/** Decompresses zstd; returns other bytes unchanged. */
export const decompress = async (
  bytes: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> =>
  isZstd(bytes) ? new Uint8Array(await Bun.zstdDecompress(bytes)) : bytes

/** The magic number of a frame (RFC 8878 §3.1.1). */
const isZstd = (bytes: Uint8Array) =>
  bytes[0] === 0x28 && bytes[1] === 0xb5 && bytes[2] === 0x2f && bytes[3] === 0xfd
