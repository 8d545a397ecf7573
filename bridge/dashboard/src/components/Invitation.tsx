import { Button, CopyButton, Stack, Text, TextInput } from '@mantine/core';
import { IconCheck, IconCopy } from '@tabler/icons-react';

interface Props {
  /** Who is to accept. */
  names: string[];
}

/** The link to this page, to be sent to the other side. It leads here after they have logged in. */
export function Invitation({ names }: Props) {
  const who = names.join(' and ');
  const link = location.origin + location.pathname;
  return (
    <Stack gap="xs">
      <TextInput
        label={`Send ${who} this link`}
        description={`It shows this page to ${who} after logging in, and to nobody else who is not part of it.`}
        readOnly
        value={link}
        onFocus={(event) => event.currentTarget.select()}
      />
      <CopyButton value={link}>
        {({ copied, copy }) => (
          <Button
            variant="default"
            onClick={copy}
            leftSection={
              copied ? <IconCheck size={16} aria-hidden /> : <IconCopy size={16} aria-hidden />
            }
          >
            {copied ? 'Copied' : 'Copy the link'}
          </Button>
        )}
      </CopyButton>
      <Text role="status" size="xs" c="dimmed">
        {`${who} ${names.length > 1 ? 'have' : 'has'} not accepted yet.`}
      </Text>
    </Stack>
  );
}
