import {
  ActionIcon,
  Button,
  Fieldset,
  Group,
  SegmentedControl,
  Select,
  Stack,
  Switch,
  Text,
  Textarea,
  TextInput,
  Title,
} from '@mantine/core';
import { useForm, type UseFormReturnType } from '@mantine/form';
import { useDebouncedValue } from '@mantine/hooks';
import { IconPlus, IconTrash } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import { useNavigate } from 'react-router';
import { useCommand } from '../api/command';
import { Fault } from '../api/http';
import { useName, usePeople } from '../api/name';
import { useDefaults } from '../api/query';
import type { WireEscrow } from '../api/wire';
import { FaultAlert } from '../components/FaultAlert';
import { Person } from '../components/Person';
import { useAuth, type User } from '../contexts/AuthContext';
import {
  amountsOf,
  EMPTY_DRAFT,
  EMPTY_PART,
  fieldOf,
  problemsIn,
  refusedWords,
  requestOf,
  totalOf,
  type Draft,
} from '../escrow/draft';
import { formatMoney } from '../escrow/money';
import { called } from '../escrow/person';
import { payoutWords, plannedFee } from '../escrow/payout';
import { span } from '../escrow/time';
import classes from './CreatePage.module.css';
import { usePageTitle } from './title';

const MILESTONES_MAX = 20;
const DAYS = ['1', '3', '7', '14', '30'];
const DAY_S = 86_400;
/** A user id counts as typed after so long without another key. */
const TYPED_MS = 400;

type DraftForm = UseFormReturnType<Draft>;

export function CreatePage() {
  const { t } = useTranslation();
  usePageTitle(t('create.title'));
  const { user } = useAuth();
  return user && <CreateForm user={user} />;
}

function CreateForm({ user }: { user: User }) {
  const { t } = useTranslation();
  const days = DAYS.map((value) => ({ value, label: span(Number(value) * DAY_S) }));
  const navigate = useNavigate();
  const create = useCommand<{ escrow: WireEscrow }>();
  const form = useForm<Draft>({
    initialValues: EMPTY_DRAFT,
    validate: (draft) => problemsIn(draft, user.user_id),
  });
  const [typed] = useDebouncedValue(form.values.other_id.trim(), TYPED_MS);
  usePeople([typed]);
  const submit = form.onSubmit((draft) =>
    create.mutate(
      { path: '/api/v1/escrows', body: requestOf(draft, user.user_id) },
      {
        onSuccess: ({ escrow }) => void navigate(`/escrows/${escrow.escrow_id}`),
        onError: (error) => {
          const fields = error instanceof Fault ? error.fields : [];
          form.setErrors(
            Object.fromEntries(fields.map((one) => [fieldOf(one.field, form.values), refusedWords(one.field)])),
          );
        },
      },
    ),
  );
  return (
    <form onSubmit={submit} noValidate className={classes.form}>
      <Title order={1}>{t('create.title')}</Title>
      <Stack className="hf-card" p="xl" gap="lg">
        <div>
          <Text fw={500} size="sm" mb={6} id="part">
            {t('create.iAm')}
          </Text>
          <SegmentedControl
            aria-labelledby="part"
            data={[
              { value: 'buyer', label: t('create.buyer') },
              { value: 'seller', label: t('create.seller') },
            ]}
            {...form.getInputProps('part')}
          />
        </div>
        <TextInput
          label={t('create.what')}
          placeholder={t('create.whatExample')}
          withAsterisk
          maxLength={200}
          {...form.getInputProps('title')}
        />
        <Textarea
          label={t('create.agreed')}
          description={t('create.agreedAbout')}
          autosize
          minRows={3}
          maxLength={5000}
          {...form.getInputProps('description')}
        />
        <div className={classes.pair}>
          <div>
            <TextInput
              label={t(form.values.part === 'buyer' ? 'create.whoSeller' : 'create.whoBuyer')}
              placeholder={t('create.theirId')}
              withAsterisk
              autoComplete="off"
              {...form.getInputProps('other_id')}
            />
            <Known id={form.values.other_id.trim()} />
          </div>
          <div>
            <TextInput
              label={t('create.whoArbiter')}
              placeholder={t('create.arbiterId')}
              autoComplete="off"
              {...form.getInputProps('arbiter_id')}
            />
            <Known id={form.values.arbiter_id.trim()} />
          </div>
        </div>
        <Amounts form={form} />
        <Payout draft={form.values} user={user} />
        <div className={classes.pair}>
          <Select
            label={t('create.timeToPay')}
            description={t('create.timeToPayAbout')}
            allowDeselect={false}
            data={days}
            {...form.getInputProps('payment_days')}
          />
          <Select
            label={t('create.timeToInspect')}
            description={t('create.timeToInspectAbout')}
            allowDeselect={false}
            data={days}
            {...form.getInputProps('inspection_days')}
          />
        </div>
        {form.values.part === 'buyer' && (
          <Switch
            label={
              form.values.other_id.trim()
                ? t('create.mustAccept', { seller: called(form.values.other_id.trim()) })
                : t('create.sellerMustAccept')
            }
            description={t('create.mustAcceptAbout')}
            {...form.getInputProps('needs_acceptance', { type: 'checkbox' })}
          />
        )}
        <FaultAlert error={create.error} />
        <Group>
          <Button type="submit" size="md" loading={create.isPending}>
            {t('create.create')}
          </Button>
          <Text size="sm" c="dimmed">
            {t('create.noMoney')}
          </Text>
        </Group>
      </Stack>
    </form>
  );
}

/** Who it is that is typed, if the user has dealt with that person before. */
function Known({ id }: { id: string }) {
  const [typed] = useDebouncedValue(id, TYPED_MS);
  const name = useName(typed);
  return (
    <div role="status" className={classes.known}>
      {name !== '' && typed === id && <Person id={id} />}
    </div>
  );
}

/** What the seller gets of the amounts as they are typed, and the fee, before anybody agrees. */
function Payout({ draft, user }: { draft: Draft; user: User }) {
  const { t } = useTranslation();
  const defaults = useDefaults();
  const amounts = amountsOf(draft);
  if (!defaults.data || !amounts) return null;
  const seller =
    draft.part === 'seller' ? user.user_id : draft.other_id.trim() || t('create.theSeller');
  const total = amounts.reduce((sum, one) => sum + one, 0);
  const fee = plannedFee(amounts, defaults.data.fee_bps ?? 0);
  return (
    <Text size="sm" c="dimmed" role="status" aria-label={t('create.sellerGets')}>
      {t('create.payout', { words: payoutWords(seller, user.user_id, total, fee, 'INR') })}
    </Text>
  );
}

function Amounts({ form }: { form: DraftForm }) {
  const { t } = useTranslation();
  const { has_milestones: hasMilestones } = form.values;
  return (
    <Stack gap="md">
      <Switch
        label={t('create.inMilestones')}
        description={t('create.inMilestonesAbout')}
        {...form.getInputProps('has_milestones', { type: 'checkbox' })}
      />
      {hasMilestones ? (
        <Milestones form={form} />
      ) : (
        <TextInput
          label={t('create.amount')}
          placeholder="10,000"
          leftSection="₹"
          inputMode="decimal"
          withAsterisk
          maw={240}
          {...form.getInputProps('amount')}
        />
      )}
    </Stack>
  );
}

function Milestones({ form }: { form: DraftForm }) {
  const { t } = useTranslation();
  const { milestones } = form.values;
  return (
    <Fieldset legend={t('create.milestones')} radius="md">
      <Stack gap="sm">
        {milestones.map((_, index) => (
          <div key={index} className={classes.milestone}>
            <TextInput
              aria-label={t('create.milestoneTitle', { number: index + 1 })}
              placeholder={t('create.milestone', { number: index + 1 })}
              maxLength={200}
              {...form.getInputProps(`milestones.${index}.title`)}
            />
            <TextInput
              aria-label={t('create.milestoneAmount', { number: index + 1 })}
              placeholder="5,000"
              leftSection="₹"
              inputMode="decimal"
              {...form.getInputProps(`milestones.${index}.amount`)}
            />
            <ActionIcon
              variant="subtle"
              color="gray"
              size="lg"
              aria-label={t('create.removeMilestone', { number: index + 1 })}
              disabled={milestones.length === 1}
              onClick={() => form.removeListItem('milestones', index)}
            >
              <IconTrash size={17} aria-hidden />
            </ActionIcon>
          </div>
        ))}
        <Group justify="space-between">
          <Button
            variant="subtle"
            size="sm"
            leftSection={<IconPlus size={16} aria-hidden />}
            disabled={milestones.length >= MILESTONES_MAX}
            onClick={() => form.insertListItem('milestones', EMPTY_PART)}
          >
            {t('create.addMilestone')}
          </Button>
          <Text fw={560} role="status">
            {t('create.together', { amount: formatMoney(totalOf(form.values) ?? 0) })}
          </Text>
        </Group>
      </Stack>
    </Fieldset>
  );
}
