/** What a client says, one after the other, and each time what the broker answers. Errors when it is not to be gone on with. */
export type Exchange = Generator<Buffer, void, Buffer> | AsyncGenerator<Buffer, void, Buffer>
