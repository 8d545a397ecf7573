import { Button, Group, Modal, Stack, Switch, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useQueryClient } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { useCommand } from '../../api/command';
import { operatorKeys, type Endpoint } from '../../api/operator';
import { FaultAlert } from '../../components/FaultAlert';

interface Props {
  /** Undefined for a new one. */
  endpoint: Endpoint | undefined;
  onClose: () => void;
  onSecret: (secret: string) => void;
}

export function EndpointDialog({ endpoint, onClose, onSecret }: Props) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const save = useCommand<{ secret?: string }>();
  const form = useForm({
    initialValues: {
      url: endpoint?.url ?? '',
      description: endpoint?.description ?? '',
      unordered: endpoint?.unordered ?? false,
      disabled: endpoint?.disabled ?? false,
    },
    validate: {
      // Whether plain HTTP is allowed is a setting of core's, which says so.
      url: (value) => (/^https?:\/\//.test(value.trim()) ? null : t('operator.hooks.noUrl')),
    },
  });
  const submit = form.onSubmit(({ url, description, unordered, disabled }) => {
    const body = { url: url.trim(), description: description.trim(), unordered };
    save.mutate(
      endpoint
        ? { path: pathOf(endpoint), method: 'PATCH', body: { ...body, disabled } }
        : { path: '/api/v1/webhooks/endpoints', body },
      {
        onSuccess: (answer) => {
          if (answer.secret) onSecret(answer.secret);
          void client.invalidateQueries({ queryKey: operatorKeys.endpoints });
          onClose();
        },
      },
    );
  });
  return (
    <Modal opened onClose={onClose} title={t(endpoint ? 'operator.hooks.editTitle' : 'operator.hooks.addTitle')}>
      <form onSubmit={submit} noValidate>
        <Stack>
          <TextInput
            label={t('operator.hooks.url')}
            placeholder="https://"
            maxLength={2000}
            data-autofocus
            autoComplete="off"
            spellCheck={false}
            {...form.getInputProps('url')}
          />
          <TextInput
            label={t('operator.hooks.description')}
            maxLength={500}
            {...form.getInputProps('description')}
          />
          <Switch
            label={t('operator.hooks.unordered')}
            {...form.getInputProps('unordered', { type: 'checkbox' })}
          />
          {endpoint && (
            <Switch
              label={t('operator.hooks.paused')}
              {...form.getInputProps('disabled', { type: 'checkbox' })}
            />
          )}
          <FaultAlert error={save.error} isForOperators />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {t('operator.back')}
            </Button>
            <Button type="submit" loading={save.isPending}>
              {t('operator.hooks.save')}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

function pathOf(endpoint: Endpoint): string {
  return `/api/v1/webhooks/endpoints/${endpoint.endpoint_id}`;
}
