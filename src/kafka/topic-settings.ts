/** `max.message.bytes` of Weir's own topics: what brokers take where nobody says otherwise, whatever these say. */
export const usualMessageBytes = '1048588'
